"""A session as a connection: how it begins, what ends it, and what is told of it afterwards.

aiosmtpd gives the connection its life. The conversation is ours, because aiosmtpd's own reader takes a mail line by line in
steps of 2 KB, and its replies carry no enhanced codes.
"""

import asyncio
import time
from ipaddress import ip_address
from typing import Final

import structlog
from aiosmtpd.smtp import SMTP
from typing_extensions import override

from services.mailrelay.smtp import replies
from services.mailrelay.smtp.context import Accepting
from services.mailrelay.smtp.dialogue import Dialogue, Finished
from services.mailrelay.smtp.limits import Bite, Enough
from services.mailrelay.smtp.proxy_protocol import ProxyHeaderWrong, read_client_address
from services.mailrelay.smtp.reader import STREAM_LIMIT_BYTES, Disconnected, Incoming
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.reply_writer import Outgoing
from services.mailrelay.smtp.session_state import Visit
from services.mailrelay.smtp.starttls import HandshakeFailed, shake_hands

log = structlog.get_logger()

# A client that does not take the last reply is cut off after this time.
_LAST_REPLY_SECONDS: Final = 10


class _NoHooks:
    """aiosmtpd looks through a handler's names for hooks, at every connection; here there are none to find."""

    @override
    def __dir__(self) -> list[str]:
        return []


_NO_HOOKS: Final = _NoHooks()


class RelaySession(SMTP):
    line_length_limit = STREAM_LIMIT_BYTES

    @override
    def __dir__(self) -> list[str]:
        # So that aiosmtpd finds no commands and no AUTH of its own either: its search would cost 70 µs a connection.
        return []

    def __init__(self, accepting: Accepting) -> None:
        settings = accepting.settings
        super().__init__(
            _NO_HOOKS,
            hostname=settings.smtp_hostname,
            enable_SMTPUTF8=True,
            timeout=min(settings.idle_timeout_seconds, settings.session_timeout_seconds),
            loop=asyncio.get_running_loop(),
        )
        self._accepting = accepting
        self._settings = settings
        self._metrics = accepting.metrics
        self._visit: Visit
        self._outgoing: Outgoing
        # None: not greeted yet.
        self._dialogue: Dialogue | None = None
        self._is_shaking_hands = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        # None: the client has gone already. An IPv6 address may carry the interface's name, which inet has no place for.
        address = "0.0.0.0" if peer is None else str(peer[0]).partition("%")[0]  # noqa: S104  # no listener
        self._visit = Visit(ip_address(address))
        self._accepting.sessions.add(self)
        self._accepting.traces.begin(self._visit.id, self._visit.trace)
        self._metrics.sessions_open.inc()
        super().connection_made(transport)
        self._outgoing = Outgoing(self._writer, self._visit, self._metrics)

    @override
    async def _handle_client(self) -> None:
        visit, outgoing = self._visit, self._outgoing
        try:
            await self._hear_of_client()
            guest = visit.guest = self._accepting.limits.admit(visit.peer_address)
            dialogue = self._dialogue = Dialogue(
                self._accepting,
                visit,
                guest,
                Incoming(self._reader),
                outgoing,
                encrypt=self._encrypt,
                look_again=self._reset_timeout,
            )
            await dialogue.run()
        except Finished as finished:
            self._end(finished.reason)
        except ProxyHeaderWrong:
            self._end("proxy_header_wrong")
        except Enough as enough:
            outgoing.say(enough.reply)
            self._end(enough.bite)
        except (Disconnected, ConnectionError):
            self._end("disconnected")

    async def _hear_of_client(self) -> None:
        """Behind a load balancer: whom the session is with. Raises ProxyHeaderWrong."""
        visit = self._visit
        if any(visit.peer_address in network for network in self._settings.proxy_protocol_from):
            seconds = self._settings.proxy_protocol_timeout_seconds
            client = await read_client_address(self._reader, timeout_seconds=seconds)
            visit.peer_address = client or visit.peer_address

    async def _encrypt(self) -> None:
        """The handshake after STARTTLS. Raises Finished."""
        certificate = self._accepting.certificate
        assert certificate is not None
        self._is_shaking_hands = True
        try:
            tls_version = await shake_hands(
                self,
                self._reader,
                self._writer,
                certificate.context,
                timeout_seconds=self._settings.tls_handshake_timeout_seconds,
            )
        except HandshakeFailed as failed:
            self._metrics.handshakes.labels("failed").inc()
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
            raise Finished("handshake_failed") from failed
        finally:
            self._is_shaking_hands = False
        self._metrics.handshakes.labels(tls_version).inc()
        self._visit.tls_version = tls_version
        self._visit.trace.note(f"encrypted with {tls_version}")
        self.transport = self._writer.transport

    @override
    def _timeout_cb(self) -> None:
        """One timer a session: when it fires, it looks whether a time is over, and else when to look again."""
        if self.transport is not None and self.transport.is_closing():
            self._writer.transport.abort()
            return
        now = time.monotonic()
        end, reply = self._visit.ends(self._settings)
        if end > now:
            self._reset_timeout(end - now)
            return
        if reply is replies.TOO_SLOW:
            self._accepting.limits.on_bite(Bite.DATA_RATE)
        self._break_off(reply, "timed_out")

    def stop(self) -> None:
        """The relay is stopping: a client between two mails is sent away, one within a mail may finish it."""
        if self._dialogue is not None:
            self._dialogue.is_stopping = True
        if self._dialogue is None or self._dialogue.is_idle():
            self.stop_now()

    def stop_now(self) -> None:
        """The time for finishing is over."""
        self._break_off(replies.SHUTTING_DOWN, "stopped")

    def _break_off(self, reply: Reply, reason: str) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._visit.reason = reason
        if not self._is_shaking_hands:
            self._outgoing.say(reply)
            self._outgoing.send()
        self._close()

    def _end(self, reason: str) -> None:
        self._visit.reason = reason
        if self.transport is not None and not self.transport.is_closing():
            self._outgoing.send()
            self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self._reset_timeout(_LAST_REPLY_SECONDS)

    @override
    def eof_received(self) -> bool | None:
        # Not aiosmtpd's, which drops the session here: who has said all he wants to say may still wait for replies.
        return asyncio.StreamReaderProtocol.eof_received(self)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        if self not in self._accepting.sessions:
            # After a handshake that failed asyncio tells of the loss at times; we do so always.
            return
        super().connection_lost(error)
        self._accepting.sessions.discard(self)
        self._accepting.session_ended.set()
        visit = self._visit
        if visit.guest is not None:
            visit.guest.leave()
            visit.guest = None
        visit.trace.note(f"ended: {visit.reason}")
        self._accepting.traces.end(visit.id)
        self._metrics.sessions_open.dec()
        self._metrics.sessions.labels(visit.reason).inc()
        log.info(
            "session_ended",
            session_id=visit.id,
            reason=visit.reason,
            mails=visit.mails,
            bytes=visit.mail_bytes,
            refusals=visit.refusals,
            seconds=round(time.monotonic() - visit.began, 3),
            tls=visit.tls_version,
        )
