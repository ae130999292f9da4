"""Tries a seller's SMTP server as a reply would: name, connection, TLS, sign-in, sender. It sends no mail.

What the server says is neither kept nor shown: whoever names a server must not read through us what it answers.
"""

import asyncio
from typing import Final
from uuid import UUID

from services.connector.http.concurrency import ConcurrencyLimit
from shared.errors import Expected
from shared.outgoing.connections import TOTAL_SECONDS, OutgoingConnections, OutgoingFailed, Reason
from shared.outgoing.smtp import SmtpFailed, SmtpServer, Stage, open_session
from shared.tables import SmtpCheck

MAX_AT_A_TIME: Final = 10

_AT_STAGE: Final = {
    Stage.CONNECT: SmtpCheck.CONNECT,
    Stage.TLS: SmtpCheck.TLS,
    Stage.HELLO: SmtpCheck.REJECTED,
    Stage.SIGN_IN: SmtpCheck.AUTH,
    Stage.SENDER: SmtpCheck.REJECTED,
}


class SmtpTestsBusy(Expected):
    """This process tests as many servers as it may already."""

    code = "smtp_tests_busy"


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

    async def check(self, account_id: UUID, server: SmtpServer, sender_address: str) -> SmtpCheck:
        """How it went. Raises HostInvalid, SmtpTestsBusy."""
        async with self._running.slot(account_id):
            try:
                async with asyncio.timeout(self._seconds):
                    await self._try(server, sender_address)
            except TimeoutError:
                return SmtpCheck.TIMEOUT
            except OutgoingFailed as failure:
                return SmtpCheck(failure.reason.value)
            except SmtpFailed as failure:
                return _shown(failure)
            return SmtpCheck.OK

    async def _try(self, server: SmtpServer, sender_address: str) -> None:
        session = await open_session(
            server,
            hello_name=self._hello_name,
            tls_context=self._outgoing.smtp_tls,
            dial=self._outgoing.connect,
            step_seconds=self._seconds,
        )
        try:
            await session.name_sender(sender_address)
        finally:
            await session.close()


def _shown(failure: SmtpFailed) -> SmtpCheck:
    if failure.reason is Reason.TIMEOUT:
        return SmtpCheck.TIMEOUT
    if failure.stage is Stage.CONNECT and failure.answer is not None:
        return SmtpCheck.REJECTED
    return _AT_STAGE[failure.stage]
