"""A session as a connection: how it begins, what ends it, and what is logged of it.

aiosmtpd gives the connection its life. The conversation is ours, because aiosmtpd's own reader takes a mail line by line in
steps of 2 KB, and its replies carry no enhanced codes.
"""

import asyncio
import functools
import time
from ipaddress import ip_address
from typing import Final

import structlog
from aiosmtpd.smtp import SMTP
from typing_extensions import override

from services.mailrelay.smtp import replies
from services.mailrelay.smtp.context import RelayContext
from services.mailrelay.smtp.dialogue import Dialogue, SessionEnded
from services.mailrelay.smtp.limits import LimitExceeded, LimitHit
from services.mailrelay.smtp.proxy_protocol import InvalidProxyHeader, read_client_address
from services.mailrelay.smtp.reader import STREAM_LIMIT_BYTES, ClientReader, Disconnected
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.reply_writer import ReplyWriter
from services.mailrelay.smtp.session_state import SessionState
from services.mailrelay.smtp.starttls import HandshakeFailed, perform_handshake

log = structlog.get_logger()

# A client that does not take the last reply is cut off after this time.
_LAST_REPLY_SECONDS: Final = 10


# Large senders come again and again: to read an address anew takes 10 µs of a connection.
_address_of: Final = functools.lru_cache(maxsize=4096)(ip_address)


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
        # Keeps aiosmtpd from searching for command hooks and AUTH of its own, which would cost 70 µs a connection.
        return []

    def __init__(self, context: RelayContext) -> None:
        settings = context.settings
        super().__init__(
            _NO_HOOKS,
            hostname=settings.smtp_hostname,
            enable_SMTPUTF8=True,
            timeout=min(
                settings.first_mail_timeout_seconds,
                settings.idle_timeout_seconds,
                settings.session_timeout_seconds,
            ),
            loop=asyncio.get_running_loop(),
        )
        self._context = context
        self._settings = settings
        self._metrics = context.metrics
        self._state: SessionState
        self._reply_writer: ReplyWriter
        # None: not greeted yet.
        self._dialogue: Dialogue | None = None
        self._is_handshaking = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        # None: the client has gone already. An IPv6 address may carry the interface's name, which inet has no place for.
        address = "0.0.0.0" if peer is None else str(peer[0]).partition("%")[0]  # noqa: S104 - no listener
        self._state = SessionState(_address_of(address))
        self._context.sessions.add(self)
        self._context.traces.begin(self._state.id, self._state.trace)
        self._metrics.sessions_open.inc()
        super().connection_made(transport)
        self._reply_writer = ReplyWriter(self._writer, self._state, self._metrics)

    @override
    async def _handle_client(self) -> None:
        state, writer = self._state, self._reply_writer
        try:
            await self._learn_client_address()
            quota = state.quota = self._context.limits.admit(state.peer_address, make_way=self._make_way)
            dialogue = self._dialogue = Dialogue(
                self._context,
                state,
                quota,
                ClientReader(self._reader),
                writer,
                start_tls=self._start_tls,
                rearm_timer=self._look_within,
            )
            await dialogue.run()
        except SessionEnded as ended:
            self._end(ended.reason)
        except InvalidProxyHeader:
            self._end("proxy_header_wrong")
        except LimitExceeded as exceeded:
            writer.write(exceeded.reply)
            self._end(exceeded.hit)
        except (Disconnected, ConnectionError):
            self._end("disconnected")

    async def _learn_client_address(self) -> None:
        """Behind a load balancer, the PROXY header names the client. Raises InvalidProxyHeader."""
        state = self._state
        if any(state.peer_address in network for network in self._settings.proxy_protocol_from):
            seconds = self._settings.proxy_protocol_timeout_seconds
            client = await read_client_address(self._reader, timeout_seconds=seconds)
            state.peer_address = client or state.peer_address

    async def _start_tls(self) -> None:
        """The handshake after STARTTLS. Raises SessionEnded."""
        certificate = self._context.certificate
        assert certificate is not None
        self._is_handshaking = True
        try:
            tls_version = await perform_handshake(
                self,
                self._reader,
                self._writer,
                certificate.context,
                timeout_seconds=self._settings.tls_handshake_timeout_seconds,
            )
        except HandshakeFailed as failed:
            self._metrics.handshakes.labels("failed").inc()
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
            raise SessionEnded("handshake_failed") from failed
        finally:
            self._is_handshaking = False
        self._metrics.handshakes.labels(tls_version).inc()
        self._state.tls_version = tls_version
        self._state.trace.note(f"encrypted with {tls_version}")
        self.transport = self._writer.transport

    def _look_within(self, seconds: float) -> None:
        """A time may be over after so many seconds. A timer that fires sooner is armed anew by then."""
        if self._timeout_handle is None or self._timeout_handle.when() > self.loop.time() + seconds:
            self._reset_timeout(seconds)

    @override
    def _timeout_cb(self) -> None:
        """One timer a session: when it fires, the session's time is over, or the timer is armed for the rest of it."""
        if self.transport is not None and self.transport.is_closing():
            self._writer.transport.abort()
            return
        now = time.monotonic()
        deadline, reply = self._state.deadline(self._settings)
        if deadline > now:
            self._reset_timeout(deadline - now)
            return
        if reply is replies.TOO_SLOW:
            self._context.limits.on_hit(LimitHit.DATA_RATE)
        self._close_with(reply, "timed_out")

    def stop(self) -> None:
        """The relay is stopping: a client between two mails is sent away, one within a mail may finish it."""
        if self._dialogue is not None:
            self._dialogue.is_stopping = True
        if self._dialogue is None or self._dialogue.is_idle():
            self.stop_now()

    def stop_now(self) -> None:
        """The time for finishing a mail is over."""
        self._close_with(replies.SHUTTING_DOWN, "stopped")

    def _make_way(self) -> None:
        """Others need the place: the client is told so, if it listens, and is not waited for."""
        self._close_with(replies.TOO_MANY_CONNECTIONS, LimitHit.MADE_WAY)
        transport = self._writer.transport
        if transport.get_write_buffer_size():
            transport.abort()

    def _close_with(self, reply: Reply, reason: str) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._state.end_reason = reason
        if not self._is_handshaking:
            self._reply_writer.write(reply)
            self._reply_writer.send()
        self._close()

    def _end(self, reason: str) -> None:
        self._state.end_reason = reason
        if self.transport is not None and not self.transport.is_closing():
            self._reply_writer.send()
            self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            # Otherwise the connection is closed within a step of the event loop.
            if self._state.tls_version is not None or self._writer.transport.get_write_buffer_size():
                self._reset_timeout(_LAST_REPLY_SECONDS)

    @override
    def eof_received(self) -> bool | None:
        # Not aiosmtpd's, which drops the session here: a client that sends no more may still wait for replies.
        return asyncio.StreamReaderProtocol.eof_received(self)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        if self not in self._context.sessions:
            # After a failed handshake asyncio calls connection_lost only sometimes; we always do.
            return
        super().connection_lost(error)
        self._context.sessions.discard(self)
        self._context.session_ended.set()
        state = self._state
        if state.quota is not None:
            state.quota.release()
            state.quota = None
        state.trace.note(f"ended: {state.end_reason}")
        self._context.traces.end(state.id)
        self._metrics.sessions_open.dec()
        self._metrics.sessions.labels(state.end_reason).inc()
        log.info(
            "session_ended",
            session_id=state.id,
            reason=state.end_reason,
            mails=state.mails,
            bytes=state.mail_bytes,
            refusals=state.refusals,
            seconds=round(time.monotonic() - state.began_at, 3),
            tls=state.tls_version,
        )
        self._break_cycles()

    def _break_cycles(self) -> None:
        """Session, streams and dialogue refer to each other: without this they, and all that they have read, would stay until
        the garbage collector comes by, which would then have to come often."""
        self._dialogue = None
        self._client_connected_cb = None
        del self._reader, self._writer, self._reply_writer
