"""The inbound mail server: it takes mail to buyers as Amazon's does, and whatever is sent to anybody else for the inbox.

Mail to a buyer is only taken here; whether the buyer gets it is decided afterwards, as with Amazon, whose `250` says nothing
about that. The scenarios of the mail server itself apply here.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException
from typing_extensions import override

from services.sandbox.mail.inbox import Inbox
from services.sandbox.mail.mail_room import MailRoom
from services.sandbox.mail.received_replies import ReceivedReply
from services.sandbox.mail.smtp_traffic import SmtpTraffic, Transaction, message_id_of
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.scenarios import DEFERRAL_WORDS, REFUSAL_WORDS
from shared.marketplaces import BY_BUYER_MAIL_DOMAIN

MAX_MAIL_BYTES: Final = 16 * 1024 * 1024
MAX_RECIPIENTS: Final = 100
_IDLE_SECONDS: Final = 300.0

_LOG = logging.getLogger(__name__)
_TAKEN: Final = "250 2.0.0 OK"


class InboundServer:
    """The handler of all connections of one sandbox."""

    def __init__(self, sandbox: Sandbox, inbox: Inbox, mail_room: MailRoom) -> None:
        self._sandbox = sandbox
        self._inbox = inbox
        self._mail_room = mail_room
        self.traffic = SmtpTraffic()
        self._stalled: set[asyncio.Event] = set()

    async def handle_MAIL(  # noqa: N802
        self, server: "Connection", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd with each sender."""
        scenarios = self._sandbox.scenarios
        if session.ssl is None and scenarios.happens("smtp-requires-tls"):
            return self._refuse("MAIL", "530 5.7.0 Must issue a STARTTLS command first")
        if words := self._words("sender", self._sellers_of(address)):
            return self._refuse("MAIL", words)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: "Connection", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd with each recipient. Of Amazon's addresses only those of buyers are taken, of others any."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return self._refuse("RCPT", "452 4.5.3 Too many recipients")
        if address.rpartition("@")[2].lower() in BY_BUYER_MAIL_DOMAIN:
            known = self._sandbox.order_of_buyer(address)
            if known is None:
                return self._refuse("RCPT", "550 5.1.1 mailbox unavailable")
            if words := self._words("recipient", [known[0].seller_id]):
                return self._refuse("RCPT", words)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: "Connection", session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by aiosmtpd with each mail."""
        replies = self._replies_in(server, envelope)
        others = [to for to in envelope.rcpt_tos if all(to is not reply.recipient for reply in replies)]
        answer = _TAKEN
        if replies:
            answer = await self._take_replies(server, envelope, replies)
        if others and answer == _TAKEN:
            return await self._inbox.take(envelope, others)
        return answer

    async def handle_exception(self, error: Exception) -> str:
        """Called by aiosmtpd with whatever went wrong. A client that does not trust the certificate is the client's matter."""
        if not isinstance(error, TLSSetupException):
            _LOG.error("a connection failed", exc_info=error)
        return DEFERRAL_WORDS

    async def _take_replies(
        self, server: "Connection", envelope: Envelope, replies: list[ReceivedReply]
    ) -> str:
        sellers = list(dict.fromkeys(reply.seller.seller_id for reply in replies))
        scenarios = self._sandbox.scenarios
        raw = replies[0].raw

        def note(answer: str | None, *, taken: bool) -> None:
            self.traffic.note(
                Transaction(
                    at=replies[0].received_at,
                    connection=server.number,
                    tls=server.tls,
                    mail_from=_sender(envelope),
                    recipients=tuple(envelope.rcpt_tos),
                    message_id=message_id_of(raw),
                    size=len(raw),
                    is_taken=taken,
                    answer=answer,
                )
            )
            if taken:
                for reply in replies:
                    self._mail_room.take(reply)

        def happens(name: str) -> bool:
            return any(scenarios.happens(name, seller_id) for seller_id in sellers)

        if words := self._words("mail", sellers):
            note(words, taken=False)
            return words
        for is_taken, how in ((True, "after-taking"), (False, "without-taking")):
            if happens(f"smtp-closes-{how}"):
                note(None, taken=is_taken)
                await server.abort()
            if happens(f"smtp-stalls-{how}"):
                note(None, taken=is_taken)
                await self._stall(server)
                return _TAKEN if is_taken else DEFERRAL_WORDS
        note(_TAKEN, taken=True)
        return _TAKEN

    def release_stalled(self) -> int:
        """Let the server answer the final dots that it has not answered. Says how many."""
        for event in self._stalled:
            event.set()
        return len(self._stalled)

    async def _stall(self, server: "Connection") -> None:
        """No answer before it is released. Ends with the connection, or when the setting `hang_seconds` is over, which ends that."""
        event = asyncio.Event()
        self._stalled.add(event)
        try:
            async with asyncio.timeout(self._sandbox.settings.hang_seconds):
                await event.wait()
        except TimeoutError:
            await server.abort()
        finally:
            self._stalled.discard(event)

    def _replies_in(self, server: "Connection", envelope: Envelope) -> list[ReceivedReply]:
        known = [(to, self._sandbox.order_of_buyer(to)) for to in envelope.rcpt_tos]
        raw = envelope.original_content or b""
        return [
            ReceivedReply(
                seller=found[0],
                order=found[1],
                received_at=self._sandbox.now(),
                connection=server.number,
                tls=server.tls,
                mail_from=_sender(envelope),
                mail_options=tuple(envelope.mail_options),
                recipient=to,
                raw=raw,
            )
            for to, found in known
            if found is not None
        ]

    def _words(self, what: str, sellers: list[str]) -> str:
        """What the server says in place of its right answer, or an empty string."""
        for name, words in ((f"smtp-defers-{what}", DEFERRAL_WORDS), (f"smtp-refuses-{what}", REFUSAL_WORDS)):
            for seller_id in (*sellers, None):
                if switch := self._sandbox.scenarios.use(name, seller_id):
                    return switch.words or words
        return ""

    def _sellers_of(self, sender: str) -> list[str]:
        """The sellers that know this sender: those that a scenario about the sender can be limited to."""
        named = {switch.seller_id for switch in self._sandbox.scenarios.now_on() if switch.seller_id}
        sellers = self._sandbox.sellers
        return [name for name in sorted(named & sellers.keys()) if sellers[name].knows_sender(sender)]

    def _refuse(self, command: str, words: str) -> str:
        self.traffic.commands_refused[f"{command} {words[:3]}"] += 1
        return words

    @asynccontextmanager
    async def listening(self, listener: socket) -> AsyncIterator[None]:
        """Take mails at this socket as long as the block lasts."""
        tls = self._sandbox.smtp_authority.server_context()
        loop = asyncio.get_running_loop()
        connections: set[Connection] = set()

        def serve() -> Connection:
            connection = Connection(self, self._sandbox, tls, connections)
            self.traffic.connections += 1
            connection.number = self.traffic.connections
            return connection

        server = await loop.create_server(serve, sock=listener)
        try:
            yield
        finally:
            server.close()
            for connection in tuple(connections):
                connection.close()


class Connection(SMTP):
    """One connection with a number of its own, from 1."""

    def __init__(
        self,
        handler: InboundServer,
        sandbox: Sandbox,
        tls: ssl.SSLContext,
        open_connections: set["Connection"],
    ) -> None:
        self.number = 0
        self._scenarios = sandbox.scenarios
        self._traffic = handler.traffic
        self._open_connections = open_connections
        super().__init__(
            handler,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="sandbox.localhost",
            ident="sandbox",
            timeout=_IDLE_SECONDS,
            tls_context=None if self._scenarios.happens("smtp-without-tls") else tls,
            loop=asyncio.get_running_loop(),
        )

    @property
    def tls(self) -> str | None:
        """The version of TLS, or None without."""
        encrypted = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        return encrypted.version() if encrypted is not None else None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Called a second time when TLS begins.
        is_first = self.transport is None
        if is_first and self._scenarios.happens("smtp-closes"):
            assert isinstance(transport, asyncio.Transport)
            transport.abort()
        if not is_first:
            self._traffic.tls_connections += 1
        self._open_connections.add(self)
        super().connection_made(transport)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._open_connections.discard(self)
        super().connection_lost(error)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    async def abort(self) -> Any:
        """Close the connection without another word. Does not return: what serves it is cancelled."""
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.abort()
        await asyncio.Event().wait()


def _sender(envelope: Envelope) -> str:
    # aiosmtpd keeps the brackets of an empty sender.
    return (envelope.mail_from or "").removeprefix("<>")
