"""How many HTTP connections a process holds, and for how long one that does nothing useful may stay.

uvicorn bounds neither: it waits for ever for the rest of a request's head, of a body that nobody reads, and for a client that takes no
answer. A connection is *waiting* as long as it has no request that has come whole and is being answered. When there are too many, of
one network or in all, the one that has waited longest makes room for the newcomer, so that a crowd of silent connections keeps nobody
out.
"""

import asyncio
from collections import Counter as Counts
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, cast

import uvicorn
from prometheus_client import CollectorRegistry, Counter, Gauge
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from services.connector.http.client_networks import WIDE, network_of, wide_network_of
from services.connector.http.connection_bounds import ConnectionBounds

# How much of an answer the system keeps for a client. Left to itself it takes megabytes, which a slow client empties in steps of
# minutes: nobody could tell one from a client that is gone.
SEND_BUFFER_BYTES: Final = 128 * 1024
_ALL: Final = "all"
_REFUSED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 10\r\nconnection: close\r\n"
    b"content-length: 22\r\n\r\ntoo many connections\r\n"
)
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connections:
    """The connections of one server."""

    def __init__(self, bounds: ConnectionBounds, registry: CollectorRegistry) -> None:
        self.bounds = bounds
        self._open: Counts[str] = Counts()
        # Those that wait, in the order in which they began to, of each network and of all.
        self._waiting: dict[str, dict[BoundedConnection, None]] = {}
        self._gauge = Gauge("replyco_http_connections", "Open HTTP connections.", registry=registry)
        self._ended = Counter(
            "replyco_http_connections_ended",
            "HTTP connections that we ended or refused.",
            ["reason"],
            registry=registry,
        )
        for reason in ("slow_head", "made_room", "refused", "stalled"):
            self._ended.labels(reason)

    def protocol(self) -> type[asyncio.Protocol]:
        """What uvicorn makes for each connection, as its `http` setting."""
        return cast("type[asyncio.Protocol]", partial(BoundedConnection, connections=self))

    def admit(self, connection: "BoundedConnection", address: str | None) -> bool:
        """Whether there is room for a new connection, perhaps because another one makes it."""
        limits = self._limits(address)
        for group, most in limits.items():
            if self._open[group] >= most and not self._make_room(group):
                self._ended.labels("refused").inc()
                return False
        connection.groups = tuple(limits)
        for group in connection.groups:
            self._open[group] += 1
        self._gauge.set(self._open[_ALL])
        return True

    def leave(self, connection: "BoundedConnection") -> None:
        """It is closed; a second time does nothing."""
        self.be_busy(connection)
        for group in connection.groups:
            self._open[group] -= 1
            if not self._open[group]:
                del self._open[group]
        connection.groups = ()
        self._gauge.set(self._open[_ALL])

    def wait(self, connection: "BoundedConnection") -> None:
        """It has no request that has come whole and is being answered."""
        for group in connection.groups:
            self._waiting.setdefault(group, {})[connection] = None

    def be_busy(self, connection: "BoundedConnection") -> None:
        """It has one now, or is gone."""
        for group in connection.groups:
            waiting = self._waiting.get(group, {})
            waiting.pop(connection, None)
            if not waiting:
                self._waiting.pop(group, None)

    def end(self, connection: "BoundedConnection", reason: str) -> None:
        """Count why we end a connection. Its place is free at once."""
        self._ended.labels(reason).inc()
        self.leave(connection)

    def _limits(self, address: str | None) -> dict[str, int]:
        if address is None or self._is_proxy(address):
            return {_ALL: self.bounds.most}
        most = self.bounds.most_of_network
        # An IPv4 address is its own wide network, and its narrower limit is the one that holds.
        return {wide_network_of(address): most * WIDE} | {network_of(address): most, _ALL: self.bounds.most}

    def _is_proxy(self, address: str) -> bool:
        try:
            given = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(given in network for network in self.bounds.proxies)

    def _make_room(self, group: str) -> bool:
        oldest = next(iter(self._waiting.get(group, ())), None)
        if oldest is None:
            return False
        oldest.abort("made_room")
        return True


class BoundedConnection(H11Protocol):
    """uvicorn's connection, which is ended when a head, the rest of an unread body, or the taking of an answer lasts too long."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.groups: tuple[str, ...] = ()
        self._all = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = transport.get_extra_info("peername")
        if not self._all.admit(self, str(peer[0]) if isinstance(peer, tuple) else None):
            self.transport = transport
            transport.write(_REFUSED)
            transport.close()
            return
        super().connection_made(transport)
        self._all.wait(self)
        self._expect_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._all.leave(self)
        self._forget_head()
        self._forget_stall()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._sort()
        if self._is_answering():
            self._forget_head()
        else:
            # Of a head, or of a body whose answer has gone out already. It is the first byte that counts, not each.
            self._expect_head()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        # A pipelined request may have begun by now.
        self._sort()
        self._watch_rest_of_answer()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_for_stall()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_stall()
        self._watch_rest_of_answer()

    def abort(self, reason: str) -> None:
        """End the connection without waiting for anything."""
        self._all.end(self, reason)
        self.transport.abort()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _sort(self) -> None:
        """Among those that wait, or not: whose body is still to come waits as whose head is."""
        if self._is_answering() and not self.cycle.more_body:
            self._all.be_busy(self)
        else:
            self._all.wait(self)

    def _expect_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._all.bounds.head_seconds, self._head_is_late)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        self._all.end(self, "slow_head")
        has_begun, _ = self.conn.trailing_data
        if has_begun:
            self.transport.write(_TOO_SLOW)
        self.transport.close()

    def _watch_rest_of_answer(self) -> None:
        """What the application has written last may lie here for as long as the client likes."""
        if not self._is_answering() and self.transport.get_write_buffer_size():
            self._watch_for_stall()

    def _watch_for_stall(self) -> None:
        self._forget_stall()
        self._stall_timer = self.loop.call_later(
            self._all.bounds.stalled_seconds, self._has_stalled, self.transport.get_write_buffer_size()
        )

    def _forget_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _has_stalled(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.abort("stalled")
        elif left:
            self._watch_for_stall()
