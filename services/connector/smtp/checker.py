"""Tries a seller's SMTP server as a reply would: name, connection, TLS, sign-in, sender. It sends no mail.

What the server says is neither kept nor shown: whoever names a server must not read through us what it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLError
from typing import Any, Final
from uuid import UUID

from aiosmtplib import SMTP, SMTPConnectResponseError, SMTPException
from pydantic import SecretStr

from services.connector.http.concurrency import ConcurrencyLimit
from shared.errors import Expected
from shared.outgoing.connections import TOTAL_SECONDS, OutgoingConnections, OutgoingFailed
from shared.tables import SmtpCheck, TlsMode

MAX_AT_A_TIME: Final = 10

_Step = Callable[[], Awaitable[Any]]


class SmtpTestsBusy(Expected):
    """This process tests as many servers as it may already."""

    code = "smtp_tests_busy"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """How to send through a seller's server."""

    host: str
    port: int
    tls_mode: TlsMode
    username: str
    password: SecretStr
    sender_address: str


class SmtpChecker:
    """Tests servers, a few at a time. There is one in a process. `hello_name` is the name that we give in EHLO."""

    def __init__(
        self,
        outgoing: OutgoingConnections,
        hello_name: str,
        *,
        seconds: float = TOTAL_SECONDS,
        max_at_a_time: int = MAX_AT_A_TIME,
    ) -> None:
        self._outgoing = outgoing
        self._hello_name = hello_name
        self._seconds = seconds
        # Nobody waits: a test takes half a minute where a server hangs.
        self._running = ConcurrencyLimit(max_at_a_time, SmtpTestsBusy, wait_seconds=0)

    async def check(self, account_id: UUID, server: SmtpServer) -> SmtpCheck:
        """How it went. Raises HostInvalid, SmtpTestsBusy."""
        async with self._running.slot(account_id):
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._try(server)
            except TimeoutError:
                return SmtpCheck.TIMEOUT
            except OutgoingFailed as failure:
                return SmtpCheck(failure.reason.value)

    async def _try(self, server: SmtpServer) -> SmtpCheck:
        client = SMTP(
            hostname=server.host,
            local_hostname=self._hello_name,
            use_tls=server.tls_mode is TlsMode.TLS,
            # Never the default, which goes on without TLS when a server, or somebody before it, does not offer it.
            start_tls=False,
            tls_context=self._outgoing.smtp_tls,
            timeout=self._seconds,
            sock=await self._outgoing.connect(server.host, server.port),
        )
        try:
            return await _first_failure(client, server) or SmtpCheck.OK
        finally:
            client.close()


async def _first_failure(client: SMTP, server: SmtpServer) -> SmtpCheck | None:
    steps: list[tuple[SmtpCheck, _Step]] = [
        (SmtpCheck.CONNECT, client.connect),
        (SmtpCheck.TLS, client.starttls),
        (SmtpCheck.REJECTED, client.ehlo),
        (SmtpCheck.AUTH, lambda: client.login(server.username, server.password.get_secret_value())),
        (SmtpCheck.REJECTED, lambda: client.mail(server.sender_address)),
    ]
    if server.tls_mode is TlsMode.TLS:
        del steps[1]
    for failure, step in steps:
        try:
            await step()
        except TimeoutError:
            raise
        except (SMTPException, OSError, ValueError) as error:
            return _connection_failure(error) if failure is SmtpCheck.CONNECT else failure
    # The answers to these change nothing any more.
    with suppress(SMTPException, OSError):
        await client.rset()
        await client.quit()
    return None


def _connection_failure(error: Exception) -> SmtpCheck:
    if isinstance(error.__cause__, SSLError):
        return SmtpCheck.TLS
    return SmtpCheck.REJECTED if isinstance(error, SMTPConnectResponseError) else SmtpCheck.CONNECT
