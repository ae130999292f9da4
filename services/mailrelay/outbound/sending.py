"""Sends replies: claims what is due, prepares it, gives it to its server, and stores what came of it.

Exactly once as far as SMTP allows. Before a mail's final dot is sent, the row says so, committed; once the server's answer is stored, the
row says that. Between the two nobody knows whether the buyer has the reply: whoever finds a row so makes it `perhaps_sent`, and asks an agent.
Whatever fails on our own side before the dot costs no attempt, and the server, which has seen no end of the mail, drops it.
"""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ssl import SSLContext
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog

from services.mailrelay.outbound import queue
from services.mailrelay.outbound.group_commit import GroupCommit
from services.mailrelay.outbound.metrics import OutboundMetrics
from services.mailrelay.outbound.outcomes import (
    HANDED_OVER,
    WAITS_FOR_US,
    Outcome,
    at_its_time,
    failed,
    outcome_of,
)
from services.mailrelay.outbound.preparing import CannotSend, Preparation, Prepared, prepare
from services.mailrelay.outbound.queries import Facts, read_facts
from services.mailrelay.outbound.queue import Claim, DataSent, Finished, Room
from services.mailrelay.outbound.signing import signed_mail
from services.mailrelay.outbound.transports import OWN_BOUNDS, Bounds, MailTooLarge, Outgoing, Transport
from shared.availability import DATABASE
from shared.blobs import BlobsUnavailable
from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.envelope import Place, SealBroken, Sealed
from shared.crypto.key_provider import KeyServiceUnavailable
from shared.database import is_unavailable, was_ended_for_others
from shared.outgoing.connections import OutgoingConnections, Reason
from shared.outgoing.smtp import END_SECONDS, SmtpFailed, SmtpServer, SmtpSession, Stage, open_session
from shared.tables import ReplyFailure, ReplyState, ReplyTransport

log = structlog.get_logger()

_Result = TypeVar("_Result")

LEASE: Final = timedelta(seconds=30)
# What waits, and what was announced while nobody listened, is found at the latest after this.
POLL_SECONDS: Final = 5.0
SHUTDOWN_SECONDS: Final = 20.0
_KEEP_UP_SECONDS: Final = 10.0
_FIRST_RETRY_SECONDS: Final = 0.2
_LONGEST_RETRY_SECONDS: Final = 5.0
# In hand at a time: for the platform's way, for all ways, for a store's own. Each store that has a way of its own may find it stuck.
_OF_PLATFORM: Final = 48
_MOST: Final = 96
_OF_STORE: Final = 4
# With more than so many in hand, others end while an outcome waits for them; the window in which nobody knows is longer by that.
_CROWD: Final = 8
_LINGER_SECONDS: Final = 0.03
# Files are held in memory, twice, while their mail is sent. By stores' own servers one for each store, and so many together that it takes
# many that hang to hold up others.
_LARGE_AT_A_TIME: Final = 4
_LARGE_OF_STORES: Final = 12
_LARGE_BYTES: Final = 262_144


class ClaimLost(Exception):
    """Another worker has the reply: nothing more is done here."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How servers are reached. Without a smarthost, replies that would go by it wait, and fail when our patience is over."""

    hello_name: str
    outgoing: OutgoingConnections
    smarthost: SmtpServer | None
    smarthost_tls: SSLContext
    smarthost_bounds: Bounds
    own_bounds: Bounds = OWN_BOUNDS
    end_seconds: float = END_SECONDS


@dataclass(slots=True)
class ReplySender:
    """One worker's sending. There is one in a process. `clock`: PostgreSQL's (`Clock.now`), which is asked before claims and recoveries."""

    preparation: Preparation
    ways: Ways
    metrics: OutboundMetrics
    clock: Callable[[], datetime]
    dkim_keys: DkimKeyFile | None = None
    lease: timedelta = LEASE
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _in_hand: dict[UUID, Claim] = field(init=False, default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    _own: dict[UUID, tuple[SmtpServer, Transport]] = field(init=False, default_factory=dict)
    _platform: Transport = field(init=False)
    _large: asyncio.Semaphore = field(init=False)
    _large_of_stores: asyncio.Semaphore = field(init=False)
    _large_of_store: dict[UUID, asyncio.Semaphore] = field(init=False, default_factory=dict)
    _data_sent: GroupCommit[DataSent, bool] = field(init=False)
    _outcomes: GroupCommit[Finished, bool] = field(init=False)

    def __post_init__(self) -> None:
        self._platform = Transport(self._connect_smarthost, self.ways.smarthost_bounds)
        self._large = asyncio.Semaphore(_LARGE_AT_A_TIME)
        self._large_of_stores = asyncio.Semaphore(_LARGE_OF_STORES)
        self._data_sent = GroupCommit(self._store_data_sent)
        # One at a time, storing outcomes costs more than all of sending; what they say has happened already.
        self._outcomes = GroupCommit(
            self._store_outcomes, linger=lambda: _LINGER_SECONDS if self._is_crowded else 0.0
        )
        self.metrics.smarthost_away.set(int(self.ways.smarthost is None))

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; then end what is in hand, within a bound. What is left is decided by whoever finds its claim over."""
        keeping = asyncio.create_task(self._keep_claims())
        retry_seconds = _FIRST_RETRY_SECONDS
        try:
            while not stop.is_set():
                self.wake.clear()  # before looking: what is announced from here on is looked for again
                try:
                    rest = await self.send_due()
                except Exception as error:  # replies wait in their rows
                    if is_unavailable(error) or was_ended_for_others(error):
                        DATABASE.is_away(error)
                    else:
                        log.exception("claiming_replies_failed")
                    rest, retry_seconds = retry_seconds, min(retry_seconds * 2, _LONGEST_RETRY_SECONDS)
                else:
                    retry_seconds = _FIRST_RETRY_SECONDS
                if rest:
                    await _wait_for_any(rest, stop, self.wake)
            await self.settle(SHUTDOWN_SECONDS)
        finally:
            keeping.cancel()
            await self.close()

    async def send_due(self) -> float:
        """Take what is due into hand, as far as there is room. The answer: after how many seconds to look again at the latest."""
        sessions = self.preparation.sessions
        await sessions.now()
        now = self.clock()
        room = self._room()
        if room.most <= 0:
            return POLL_SECONDS  # whoever ends wakes us
        async with sessions.begin() as session:
            claims = await queue.claim(session, room, now=now, lease=self.lease)
            next_at = None if claims else await queue.next_due_at(session, after=now)
        if not claims:
            return POLL_SECONDS if next_at is None else min(POLL_SECONDS, (next_at - now).total_seconds())
        for claim in claims:
            self._in_hand[claim.id] = claim
        self.metrics.in_hand.set(len(self._in_hand))
        self._start(self._send_all(claims))
        return 0.0

    @property
    def _is_crowded(self) -> bool:
        return len(self._in_hand) > _CROWD

    @property
    def in_hand(self) -> int:
        """How many replies are being sent."""
        return len(self._in_hand)

    async def settle(self, seconds: float) -> None:
        """Wait for what is in hand, for so long."""
        until = asyncio.get_running_loop().time() + seconds
        while self._tasks and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Leave what is in hand where it is, and all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._in_hand.clear()
        for transport in (self._platform, *(transport for _, transport in self._own.values())):
            transport.retire()

    async def recover_forever(self) -> None:
        """Decide about replies of workers that have died, as soon as their claims are over.

        While the database was away nobody could keep a claim alive: after that, everybody has the time of a claim to do so.
        """
        wait = self.lease.total_seconds()
        while True:
            await asyncio.sleep(wait)
            try:
                await self.recover()
            except Exception as error:  # they wait a little longer
                if not is_unavailable(error):
                    log.exception("recovering_replies_failed")
                wait = self.lease.total_seconds()
            else:
                wait = self.lease.total_seconds() / 4

    async def recover(self) -> None:
        """Decide about the replies whose claims are over now."""
        await self.preparation.sessions.now()
        async with self.preparation.sessions.begin() as session:
            recovered = await queue.recover(session, in_hand=self._in_hand.keys(), now=self.clock())
        for outcome, count in zip(
            (ReplyState.DELAYED, ReplyState.FAILED, ReplyState.PERHAPS_SENT), recovered, strict=True
        ):
            self.metrics.recovered.labels(outcome.value).inc(count)
        if recovered.delayed:
            self.wake.set()

    async def keep_up(self) -> None:
        """Tell the metrics how replies wait, and let connections go that nobody uses."""
        while True:
            try:
                async with self.preparation.sessions.begin() as session:
                    measured = await queue.measure(session)
                self.metrics.due_age_seconds.set(measured.due_age_seconds)
                self.metrics.perhaps_sent_open.set(measured.perhaps_sent_open)
            except Exception as error:  # a figure is missing; sending goes on
                self.metrics.due_age_seconds.set(math.nan)
                self.metrics.perhaps_sent_open.set(math.nan)
                if not is_unavailable(error):
                    log.exception("measuring_replies_failed")
            self._close_idle()
            await asyncio.sleep(_KEEP_UP_SECONDS)

    def _close_idle(self) -> None:
        self._platform.close_idle()
        for store in [store for store, large in self._large_of_store.items() if not large.locked()]:
            del self._large_of_store[store]
        for store, (_, transport) in list(self._own.items()):
            transport.close_idle()
            if transport.is_idle and not any(c.reply.integration_id == store for c in self._in_hand.values()):
                del self._own[store]

    def _room(self) -> Room:
        of_platform = sum(not claim.is_own for claim in self._in_hand.values())
        of_stores: dict[UUID, int] = {}
        for claim in self._in_hand.values():
            if claim.is_own:
                of_stores[claim.reply.integration_id] = of_stores.get(claim.reply.integration_id, 0) + 1
        busy = [store for store, count in of_stores.items() if count >= _OF_STORE]
        return Room(_MOST - len(self._in_hand), max(_OF_PLATFORM - of_platform, 0), _OF_STORE, busy)

    async def _keep_claims(self) -> None:
        """As long as a reply is in hand, no other worker may think that its worker has died."""
        while True:
            await asyncio.sleep(self.lease.total_seconds() / 4)
            if not self._in_hand:
                continue
            try:
                async with self.preparation.sessions.begin() as session:
                    await queue.renew(session, list(self._in_hand.values()), self.lease)
            except Exception as error:  # no dot is sent without a live claim
                if not is_unavailable(error):
                    log.exception("keeping_claims_failed")

    async def _send_all(self, claims: Sequence[Claim]) -> None:
        try:
            async with self.preparation.sessions.reading() as reader:
                facts = await read_facts(reader, claims)
        except Exception as error:  # they are tried again when the database is back
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("reading_replies_failed")
            for claim in claims:
                self._start(self._finish(claim, WAITS_FOR_US, self.clock()))
            return
        for claim in claims:
            self._start(self._send(claim, facts[claim.id]))

    async def _send(self, claim: Claim, facts: Facts) -> None:
        began_at = self.clock()
        try:
            async with self._memory_for(claim, facts):
                outcome = await self._attempt(claim, facts)
        except ClaimLost:
            log.warning("reply_claim_lost", reply_id=str(claim.id))
            self._let_go(claim)
            return
        await self._finish(claim, outcome, began_at)

    @asynccontextmanager
    async def _memory_for(self, claim: Claim, facts: Facts) -> AsyncIterator[None]:
        """Large files wait for others, but never for a server that only another store has chosen."""
        if sum(file.size for file in facts.files) <= _LARGE_BYTES:
            yield
        elif not claim.is_own:
            async with self._large:
                yield
        else:
            of_store = self._large_of_store.setdefault(claim.reply.integration_id, asyncio.Semaphore(1))
            async with of_store, self._large_of_stores:
                yield

    async def _attempt(self, claim: Claim, facts: Facts) -> Outcome:
        """Try to send a reply, and say what came of it. Raises ClaimLost."""
        try:
            prepared = await prepare(self.preparation, claim, facts, now=self.clock())
            await self._give(claim, prepared)
        except ClaimLost:
            raise
        except SmtpFailed as failure:
            is_own = facts.store is not None and facts.store.own is not None
            return self._judged(failure, ReplyTransport.OWN if is_own else ReplyTransport.PLATFORM)
        except Exception as error:  # noqa: BLE001 - decided there, each kind
            return _outcome_of_error(error, claim)
        if not claim.is_own:
            self.metrics.smarthost_away.set(0)
        return HANDED_OVER

    async def _give(self, claim: Claim, prepared: Prepared) -> None:
        reply, mail_domain = prepared.reply, self.preparation.mail_domain

        async def compose(eight_bit: bool) -> bytes:
            return await signed_mail(reply, mail_domain=mail_domain, keys=self.dkim_keys, eight_bit=eight_bit)

        async def before_end() -> None:
            sent = DataSent(claim, prepared.transport, reply.from_address, prepared.answered_id)
            if not await self._data_sent.store(sent):
                raise ClaimLost

        # The envelope's sender is the address that Amazon knows, without a tag: what comes back comes to us.
        await self._way(claim, prepared).give(
            Outgoing(reply.from_address, reply.to_address, compose, before_end)
        )

    def _judged(self, failure: SmtpFailed, transport: ReplyTransport) -> Outcome:
        outcome = outcome_of(failure, transport)
        said = log.error if outcome.is_our_fault else log.info
        said(
            "smarthost_failed" if outcome.is_our_fault else "smtp_failed",
            transport=transport.value,
            stage=failure.stage.value,
            code=failure.answer.code if failure.answer is not None else None,
            reason=failure.reason,
        )
        if outcome.is_our_fault:
            self.metrics.smarthost_failures.labels(failure.stage.value).inc()
            self.metrics.smarthost_away.set(1)
        return outcome

    def _way(self, claim: Claim, prepared: Prepared) -> Transport:
        if prepared.own is None:
            return self._platform
        store, server = claim.reply.integration_id, prepared.own
        known = self._own.get(store)
        if known is not None and known[0] == server:
            return known[1]
        if known is not None:
            known[1].retire()

        async def connect() -> SmtpSession:
            session = await open_session(
                server,
                hello_name=self.ways.hello_name,
                tls_context=self.ways.outgoing.smtp_tls,
                dial=self.ways.outgoing.connect,
                end_seconds=self.ways.end_seconds,
            )
            self.metrics.connections.labels(ReplyTransport.OWN.value).inc()
            return session

        transport = Transport(connect, self.ways.own_bounds)
        self._own[store] = (server, transport)
        return transport

    async def _connect_smarthost(self) -> SmtpSession:
        if self.ways.smarthost is None:
            raise SmtpFailed(Stage.CONNECT, None, Reason.DNS)
        session = await open_session(
            self.ways.smarthost,
            hello_name=self.ways.hello_name,
            tls_context=self.ways.smarthost_tls,
            end_seconds=self.ways.end_seconds,
        )
        self.metrics.connections.labels(ReplyTransport.PLATFORM.value).inc()
        return session

    async def _finish(self, claim: Claim, outcome: Outcome, began_at: datetime) -> None:
        """Store what an attempt has come to. While the database is away, this waits: only we know it."""
        now = self.clock()
        outcome = at_its_time(
            outcome,
            first_attempt_at=claim.first_attempt_at or began_at,
            attempts=claim.attempts,
            now=now,
            jitter=secrets.randbelow(1000) / 1000,
        )
        try:
            words = await self._sealed_words(claim, outcome)
            if await _until_the_database_answers(
                lambda: self._outcomes.store(Finished(claim, outcome, words, began_at))
            ):
                self._count(claim, outcome)
            else:
                log.warning("reply_claim_lost", reply_id=str(claim.id), outcome=outcome.state.value)
        finally:
            self._let_go(claim)

    async def _sealed_words(self, claim: Claim, outcome: Outcome) -> Sealed | None:
        if outcome.words is None:
            return None
        parts = self.preparation
        try:
            keys = await _until_the_database_answers(
                lambda: parts.keyring.of(parts.sessions, claim.reply.account_id)
            )
        except (KeyServiceUnavailable, SealBroken) as error:
            # What has come of the attempt is worth more than how it was said.
            log.warning("server_words_not_kept", reply_id=str(claim.id), exc_info=error)
            return None
        return keys.seal_text(Place("outbound_messages", "server_words", claim.id), outcome.words)

    def _count(self, claim: Claim, outcome: Outcome) -> None:
        transport = ReplyTransport.OWN if claim.is_own else ReplyTransport.PLATFORM
        self.metrics.attempts.labels(transport.value, outcome.state.value).inc()
        if outcome.failure is not None:
            self.metrics.failures.labels(outcome.failure.value).inc()
        if outcome.state is ReplyState.HANDED_OVER:
            self.metrics.seconds.observe(max(0.0, (self.clock() - claim.due_at).total_seconds()))
        else:
            log.info(
                "reply_not_handed_over",
                reply_id=str(claim.id),
                state=outcome.state.value,
                failure=outcome.failure.value if outcome.failure is not None else None,
            )

    def _let_go(self, claim: Claim) -> None:
        self._in_hand.pop(claim.id, None)
        self.metrics.in_hand.set(len(self._in_hand))
        # The next of its conversation, or what there was no room for.
        if claim.is_own or len(self._in_hand) <= _OF_PLATFORM // 2:
            self.wake.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("reply_task_failed", exc_info=task.exception())

    async def _store_data_sent(self, sent: Sequence[DataSent]) -> Sequence[bool]:
        # One statement that commits by itself: the way to the final dot is as short as it can be.
        async with self.preparation.sessions.reading() as connection:
            return await queue.note_data_sent(connection, sent)

    async def _store_outcomes(self, finished: Sequence[Finished]) -> Sequence[bool]:
        async with self.preparation.sessions.begin() as session:
            return await queue.store_outcomes(session, finished)


def _outcome_of_error(error: Exception, claim: Claim) -> Outcome:
    """What an attempt comes to that no server has refused."""
    if isinstance(error, CannotSend):
        return error.outcome
    if isinstance(error, MailTooLarge):
        return failed(ReplyFailure.TOO_LARGE)
    is_away = isinstance(error, BlobsUnavailable | KeyServiceUnavailable)
    if is_away or is_unavailable(error) or was_ended_for_others(error):
        log.warning("reply_waits_for_us", reply_id=str(claim.id), exc_info=error)
        return WAITS_FOR_US
    # An error without a class passes, or our patience does.
    log.error("reply_not_sent", reply_id=str(claim.id), exc_info=error)
    return Outcome(ReplyState.DELAYED)


async def _until_the_database_answers(ask: Callable[[], Awaitable[_Result]]) -> _Result:
    """Only we know what has come of an attempt: it is told when it can be."""
    wait = _FIRST_RETRY_SECONDS
    while True:
        try:
            return await ask()
        except Exception as error:
            if not (is_unavailable(error) or was_ended_for_others(error)):
                raise
            DATABASE.is_away(error)
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_RETRY_SECONDS)


async def _wait_for_any(seconds: float, *events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
