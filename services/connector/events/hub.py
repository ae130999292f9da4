"""A process receives the events of all accounts once and passes each to the listeners who may see it.

One connection listens to PostgreSQL. A notification is a hint: the event that it names is read from its row, and who may know of it is decided by
that. While the connection is away, events are missed; after every gap each listener is told `resync`: read again what you show. The same
is told to one who is too slow, instead of keeping more and more for them, and to all if more is heard of than can be read.
"""

import asyncio
import contextlib
import json
from collections import Counter
from itertools import islice
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.connector.accounts.callers import Caller
from services.connector.events.bounds import StreamBounds
from services.connector.events.kinds import PERMISSION_OF
from shared.availability import DATABASE
from shared.channels import EVENT_CHANNEL, id_in
from shared.database import connect
from shared.driver import DRIVER_UNAVAILABLE
from shared.errors import Expected
from shared.events import Event, EventKind
from shared.permissions import Level

log = structlog.get_logger()

# A browser's tabs, or a program's workers.
MAX_STREAMS_PER_CALLER: Final = 8
MAX_STREAMS_PER_ACCOUNT: Final = 500
# An event is about 200 bytes; a listener this far behind had better read everything again.
MAX_WAITING: Final = 100
# So many are read by one statement.
_MAX_READ: Final = 500
# After a flood everybody reads everything again: not more often than this.
_FLOOD_SECONDS: Final = 1.0
_READ: Final = "SELECT id, account_id, kind, ids FROM events WHERE id = ANY($1)"

_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 5.0
# A connection that a firewall has dropped says nothing: ask it now and then.
_PROBE_SECONDS: Final = 15.0
_PROBE_TIMEOUT: Final = 5.0


class TooManyStreams(Expected):
    """This caller, or their account, listens often enough already."""

    code = "too_many_streams"


class StreamsExhausted(Expected):
    """This process serves as many streams as it will."""

    code = "streams_exhausted"


def frame(event: str, data: dict[str, object]) -> str:
    """One server-sent event."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


def frame_of(event: Event) -> str:
    """An event, with the id from which a listener resumes."""
    return f"id: {event.id}\n" + frame(event.kind, {"ids": event.ids})


RESYNC: Final = frame("resync", {})


class Subscription:
    """The events that one listener has still to receive. Leaving the context frees its slot."""

    def __init__(self, hub: "Hub", caller: Caller) -> None:
        self._hub = hub
        self.caller = caller
        self._frames: list[str] = []
        self._changed = asyncio.Event()
        self._ended = False

    def tell(self, text: str) -> None:
        """Keep a frame for the listener; never waits."""
        if len(self._frames) >= MAX_WAITING:
            self._frames = [RESYNC]
        else:
            self._frames.append(text)
        self._changed.set()

    def end(self) -> None:
        """Let `next` answer None: nothing will come any more."""
        self._ended = True
        self._changed.set()

    async def next(self) -> str | None:
        """Wait for frames; everything that is there, as one text. None at the end."""
        await self._changed.wait()
        self._changed.clear()
        if self._ended:
            self._changed.set()
            return None
        text, self._frames = "".join(self._frames), []
        return text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.leave(self)


class Hub:
    """All streams of one process. `start` and `stop` belong to the application's life; `end_streams` comes first at a shutdown."""

    def __init__(
        self, database_url: str, registry: CollectorRegistry, bounds: StreamBounds | None = None
    ) -> None:
        self.bounds = bounds or StreamBounds()
        self._database_url = database_url
        # In the order in which they were heard of, each once.
        self._heard: dict[UUID, None] = {}
        self._has_dropped = False
        # Something was heard, or the connection is lost.
        self._stirred = asyncio.Event()
        self._subscriptions: dict[UUID, set[Subscription]] = {}
        self._by_caller: Counter[UUID] = Counter()
        self._count = 0
        self._is_ending = False
        self._task: asyncio.Task[None] | None = None
        self._is_listening = asyncio.Event()
        self._streams = Gauge("replyco_event_streams", "Open event streams.", registry=registry)

    def start(self) -> None:
        """Begin to listen, if there may be streams; does not wait for the database."""
        self._is_ending = False
        if self.bounds.most_streams:
            self._task = asyncio.create_task(self._listen_for_ever())

    async def stop(self) -> None:
        """End every stream and stop listening."""
        self.end_streams()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def end_streams(self) -> None:
        """End every stream, so that a server that waits for its connections does not wait for them."""
        self._is_ending = True
        for subscription in self.subscriptions():
            subscription.end()

    @property
    def open_streams(self) -> int:
        return self._count

    async def wait_until_listening(self) -> None:
        """Wait until the process listens to PostgreSQL."""
        await self._is_listening.wait()

    def subscribe(self, caller: Caller) -> Subscription:
        """From now on nothing is missed without a `resync`. Raises TooManyStreams, StreamsExhausted."""
        mine = self._subscriptions.get(caller.account_id, set())
        if self._by_caller[_who(caller)] >= MAX_STREAMS_PER_CALLER or len(mine) >= MAX_STREAMS_PER_ACCOUNT:
            raise TooManyStreams(most=MAX_STREAMS_PER_CALLER)
        if self._count >= self.bounds.most_streams or self._is_ending:
            raise StreamsExhausted
        subscription = Subscription(self, caller)
        self._subscriptions.setdefault(caller.account_id, set()).add(subscription)
        self._by_caller[_who(caller)] += 1
        self._count += 1
        self._streams.set(self._count)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Free a place; a second time does nothing."""
        account_id = subscription.caller.account_id
        mine = self._subscriptions.get(account_id, set())
        if subscription not in mine:
            return
        mine.remove(subscription)
        if not mine:
            del self._subscriptions[account_id]
        who = _who(subscription.caller)
        self._by_caller[who] -= 1
        if not self._by_caller[who]:
            del self._by_caller[who]
        self._count -= 1
        self._streams.set(self._count)

    def subscriptions(self) -> list[Subscription]:
        """The open subscriptions of all accounts."""
        return [subscription for mine in self._subscriptions.values() for subscription in mine]

    def _hear(self, payload: str) -> None:
        """Keep what a notification names, to be read. Nothing is logged of one that names nothing: anybody can send any number."""
        event_id = id_in(payload)
        if event_id is None or not self._count:
            return
        if len(self._heard) < self.bounds.most_heard:
            self._heard[event_id] = None
        else:
            self._has_dropped = True
        self._stirred.set()

    async def _listen_for_ever(self) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                connection = await connect(
                    self._database_url, application_name="connector-events", statement_seconds=_PROBE_TIMEOUT
                )
                try:
                    lost = asyncio.Event()
                    connection.add_termination_listener(lambda _connection, lost=lost: self._lose(lost))
                    await connection.add_listener(EVENT_CHANNEL, lambda *args: self._hear(str(args[3])))
                    delay = _FIRST_DELAY
                    self._heard.clear()
                    self._is_listening.set()
                    self._tell_all(RESYNC)
                    await self._tell_until_lost(connection, lost)
                finally:
                    self._is_listening.clear()
                    connection.terminate()
            except DRIVER_UNAVAILABLE as error:
                DATABASE.is_away(error)
            except Exception:
                # Whatever the error is, never to listen again would be worse: log it and try again.
                log.exception("events_failed")
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY)

    def _lose(self, lost: asyncio.Event) -> None:
        lost.set()
        self._stirred.set()

    async def _tell_until_lost(
        self, connection: "asyncpg.Connection[asyncpg.Record]", lost: asyncio.Event
    ) -> None:
        while not lost.is_set():
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._stirred.wait()
            except TimeoutError:
                await connection.execute("SELECT 1")
            self._stirred.clear()
            if self._has_dropped:
                self._has_dropped = False
                self._heard.clear()
                log.warning("events_flooded")
                self._tell_all(RESYNC)
                await asyncio.sleep(_FLOOD_SECONDS)
            elif self._heard:
                await self._tell_heard(connection)
            if self._heard:
                self._stirred.set()
        DATABASE.is_away()

    async def _tell_heard(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Read the events that were heard of first, and pass on those that there are."""
        event_ids = list(islice(self._heard, _MAX_READ))
        for event_id in event_ids:
            del self._heard[event_id]
        rows = {row["id"]: row for row in await connection.fetch(_READ, event_ids)}
        for event_id in event_ids:
            # A newer version beside us, in the middle of an update, may write kinds that we do not know.
            if (row := rows.get(event_id)) is not None and row["kind"] in PERMISSION_OF:
                self._pass_on(
                    Event(event_id, row["account_id"], EventKind(row["kind"]), json.loads(row["ids"]))
                )

    def _pass_on(self, event: Event) -> None:
        permission = PERMISSION_OF[event.kind]
        text = frame_of(event)
        for subscription in self._subscriptions.get(event.account_id, ()):
            if subscription.caller.may(permission, Level.VIEW):
                subscription.tell(text)

    def _tell_all(self, text: str) -> None:
        for subscription in self.subscriptions():
            subscription.tell(text)


def _who(caller: Caller) -> UUID:
    return caller.session_id or caller.api_key_id or caller.user_id
