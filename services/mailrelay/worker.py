"""The mail worker: hears of accepted mail and delivers it, hears of replies and sends them, and goes on through everything that PostgreSQL
does meanwhile.

Any number of workers may run. NOTIFY makes it fast, polling makes it certain: a lost notification costs seconds.
"""

import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.delivery.authentication import readable_as_decided
from services.mailrelay.delivery.blob_sweeper import sweep_forever
from services.mailrelay.delivery.clamav import Scanner, rescan_forever
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.delivery.parser_pool import PARSING_SECONDS, ParserPool
from services.mailrelay.delivery.queue import (
    LISTENING_FAILURES,
    announcements,
    count_stores_addressed_elsewhere,
    queue_age_seconds,
    requeue_for_recheck,
)
from services.mailrelay.delivery.queue_start import QueueStart
from services.mailrelay.delivery.service import Delivery, deliver_due
from services.mailrelay.delivery.turns import Turns
from services.mailrelay.outbound.metrics import OutboundMetrics
from services.mailrelay.outbound.preparing import Preparation
from services.mailrelay.outbound.sending import ReplySender, Ways
from services.mailrelay.outbound.transports import Bounds
from services.mailrelay.settings import MailWorkerSettings
from shared.availability import DATABASE
from shared.background_tasks import BackgroundTasks, wait_for_tables
from shared.blobs import open_blobs, watch_rights
from shared.channels import MAIL_CHANNEL, REPLY_CHANNEL
from shared.connection_metrics import show_database
from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_source import KeySource
from shared.crypto.mail_key_files import MailPrivateKeyFile
from shared.database import (
    Sessions,
    create_engine,
    create_sessions,
    database_problem,
    is_unavailable,
    require_version,
)
from shared.keyring import Keyring
from shared.lanes import Lane
from shared.metrics import process_registry
from shared.outgoing.addresses import networks
from shared.outgoing.connections import OutgoingConnections
from shared.side_port import side_port
from shared.status.of_sessions import status_of
from shared.status.queries import OF_MAIL
from shared.tracing import exporting

log = structlog.get_logger()

# What waits for its next attempt, and what was announced while nobody listened, is found at the latest after this.
POLL_SECONDS: Final = 5.0
FIRST_RETRY_SECONDS: Final = 0.2
LONGEST_RETRY_SECONDS: Final = 5.0
# Every mail is announced alike, and nearly all are for the quick lane: not each is worth a look into the others.
_PAUSE_SECONDS: Final = 0.1
_THREAD_SWITCH_SECONDS: Final = 0.001
_LONGEST_REST_SECONDS: Final = 1.0
# As often as metrics are usually asked for.
_MEASURE_SECONDS: Final = 15.0
_RECHECK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class _LaneWork:
    """How a lane is worked on. `seconds`: for parsing one mail; what takes longer is moved into the slow lane. `costly_seconds`:
    of processor time, after which the next from there goes into the slow lane, too.

    `rest`: how long its loop rests after a turn, in turns: what it does in this process stands back, too.
    """

    lane: Lane
    seconds: float
    costly_seconds: float = math.inf
    batches: int = 1
    niceness: int = 0
    rest: float = 0.0
    pause_seconds: float = _PAUSE_SECONDS


# An ordinary mail is parsed in half a millisecond, the largest that tests know in a second or two. What does not claim to be
# Amazon's, and what was slow before, is parsed where processors are scarce after what does claim it.
_LANES: Final = (
    # While PostgreSQL or a parser has one batch, the worker has another in hand.
    _LaneWork(Lane.QUICK, seconds=1.0, costly_seconds=0.1, batches=2, pause_seconds=0.0),
    _LaneWork(Lane.LARGE, seconds=3.0, rest=0.5),
    _LaneWork(Lane.OTHER, seconds=3.0, costly_seconds=0.3, niceness=10, rest=1.0),
    _LaneWork(Lane.SLOW, seconds=PARSING_SECONDS, niceness=19, rest=2.0),
)


async def run_worker(
    settings: MailWorkerSettings, stop: asyncio.Event, *, poll_seconds: float = POLL_SECONDS
) -> None:
    """Deliver until `stop` is set; then end after the batch in hand. It looks for mail each time some is announced, and after `poll_seconds`.

    Raises KeyFileUnusable, CannotStart, NoNameServers or PortTaken before anything has begun.
    """
    # Threads that open and seal mail would else keep the loop waiting five milliseconds at each of its steps.
    sys.setswitchinterval(_THREAD_SWITCH_SECONDS)
    keyring = Keyring(provider := KeySource.open(settings))
    private_keys = MailPrivateKeyFile.load(settings.mail_private_key_file)
    database_url = settings.database_url.get_secret_value()
    engine = create_engine(database_url, application_name="replyco-mail-worker", pool_size=20)
    sessions = await require_version(create_sessions(engine))
    registry = process_registry()
    dkim_keys = None if settings.dkim_key_file is None else DkimKeyFile.load(settings.dkim_key_file)
    outbound_metrics = OutboundMetrics(registry)
    outbound_metrics.replies_signed.set(dkim_keys is not None)
    if dkim_keys is None:
        log.warning("replies_unsigned", setting="REPLYCO_DKIM_KEY_FILE")
    name_servers = NameServers(
        [(str(address), port) for address, port in settings.nameservers], DnsMetrics(registry)
    )
    show_database(registry, engine, sessions.clock)
    metrics = DeliveryMetrics(registry)
    blobs = open_blobs(settings)
    scanner = None if settings.clamd is None else Scanner(settings.clamd)
    parsers = {
        work.lane: ParserPool(seconds=work.seconds, processes=work.batches, niceness=work.niceness)
        for work in _LANES
    }
    delivery = Delivery(
        sessions,
        keyring,
        private_keys,
        parsers[Lane.QUICK],
        metrics,
        blobs,
        name_servers,
        scanner,
        addressed_elsewhere=settings.addressed_elsewhere,
        inline_limit_bytes=settings.inline_limit_bytes,
    )
    outgoing = OutgoingConnections(
        allowed=networks(settings.outgoing_allowed_networks),
        refused=networks(settings.outgoing_refused_networks),
    )
    sender = ReplySender(
        Preparation(sessions, keyring, blobs, scanner, settings.mail_domain, readable_as_decided),
        Ways(
            hello_name=settings.smtp_hostname,
            outgoing=outgoing,
            smarthost=settings.smarthost,
            smarthost_tls=outgoing.smtp_tls,
            smarthost_bounds=Bounds(settings.smarthost_connections, settings.smarthost_mails_per_second),
        ),
        outbound_metrics,
        sessions.clock.now,
        dkim_keys,
    )
    if settings.smarthost is None:
        log.warning("no_smarthost", setting="REPLYCO_SMARTHOST_HOST")
    # An announced mail may be in any lane; each lane's loops wait for it.
    wakes = {work.lane: asyncio.Event() for work in _LANES}

    def wake() -> None:
        for event in wakes.values():
            event.set()

    def work_on(work: _LaneWork) -> list[Awaitable[None]]:
        of_lane = replace(
            delivery,
            lane=work.lane,
            parser=parsers[work.lane],
            turns=Turns(),
            costly_seconds=work.costly_seconds,
        )
        return [
            _deliver_until(
                stop,
                wakes[work.lane],
                lambda: deliver_due(of_lane),
                poll_seconds=poll_seconds,
                pause_seconds=work.pause_seconds,
                rest=work.rest,
            )
            for _ in range(work.batches)
        ]

    background = BackgroundTasks(stop, registry)
    try:
        async with (
            side_port(
                settings.side_host,
                settings.worker_port,
                setting="REPLYCO_WORKER_PORT",
                registry=registry,
                database_problem=lambda: database_problem(sessions),
                problem=background.problem,
                status=status_of("mail-worker", sessions, OF_MAIL, background.problem),
            ),
            exporting("mail-worker", settings),
            background,
        ):
            await wait_for_tables(sessions, stop)
            background.start(
                "mail_announcements",
                lambda: _listen(database_url, {MAIL_CHANNEL: wake, REPLY_CHANNEL: sender.wake.set}),
            )
            background.start("replies", lambda: sender.run(stop), ends_at_stop=True)
            background.start("replies_recovery", sender.recover_forever)
            background.start("replies_upkeep", sender.keep_up)
            for name, run in (
                ("queue_age", lambda: _measure_queue_age(sessions, metrics)),
                ("blob_sweeper", lambda: sweep_forever(blobs, sessions, metrics)),
                ("blob_rights", watch_rights(blobs, registry)),
                ("recheck", lambda: _recheck(sessions, wake)),
            ):
                background.start(name, run)
            if scanner is not None:
                background.start("rescan", lambda: rescan_forever(scanner, sessions, keyring, blobs))
            log.info("mail_worker_started")
            await asyncio.gather(*(loop for work in _LANES for loop in work_on(work)))
    finally:
        await asyncio.gather(provider.close(), name_servers.close())
        for parser in parsers.values():
            parser.close()
        blobs.close()
        await engine.dispose()
        log.info("mail_worker_stopped")


async def _deliver_until(
    stop: asyncio.Event,
    wake: asyncio.Event,
    deliver: Callable[[], Awaitable[int]],
    *,
    poll_seconds: float,
    pause_seconds: float,
    rest: float,
) -> None:
    retry_seconds = FIRST_RETRY_SECONDS
    while not stop.is_set():
        wake.clear()  # before looking: what is announced from here on is looked for again
        began = time.monotonic()
        try:
            delivered = await deliver()
        except (
            Exception
        ) as error:  # the mail waits in its rows; a worker that ended would deliver nothing either
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("delivery_failed")
            await _wait_for_any(retry_seconds, stop)
            retry_seconds = min(retry_seconds * 2, LONGEST_RETRY_SECONDS)
            continue
        retry_seconds = FIRST_RETRY_SECONDS
        if rest and delivered:
            await _wait_for_any(min(_LONGEST_REST_SECONDS, rest * (time.monotonic() - began)), stop)
        if delivered == 0:
            await _wait_for_any(poll_seconds, stop, wake)
            if pause_seconds:
                await _wait_for_any(pause_seconds, stop)


async def _measure_queue_age(sessions: Sessions, metrics: DeliveryMetrics) -> None:
    queue_start = QueueStart()
    while True:
        try:
            async with sessions.begin() as session:
                metrics.queue_age_seconds.set(await queue_age_seconds(session, queue_start))
                metrics.stores_addressed_elsewhere.set(await count_stores_addressed_elsewhere(session))
        except Exception as error:  # a figure is missing; delivering goes on
            metrics.queue_age_seconds.set(math.nan)
            metrics.stores_addressed_elsewhere.set(math.nan)
            if not is_unavailable(error):  # else the delivery has logged it
                log.exception("queue_age_failed")
        await asyncio.sleep(_MEASURE_SECONDS)


async def _recheck(sessions: Sessions, wake: Callable[[], None]) -> None:
    while True:
        try:
            async with sessions.begin() as session:
                if await requeue_for_recheck(session):
                    wake()
        except Exception as error:  # they stay in quarantine a little longer
            if not is_unavailable(error):
                log.exception("recheck_failed")
        await asyncio.sleep(_RECHECK_SECONDS)


async def _listen(database_url: str, heard: Mapping[str, Callable[[], None]]) -> None:
    retry_seconds = FIRST_RETRY_SECONDS
    while True:
        lost = asyncio.Event()
        try:
            async with announcements(database_url, heard, lost.set):
                retry_seconds = FIRST_RETRY_SECONDS
                for wake in heard.values():
                    wake()  # something may have come while nobody listened
                await lost.wait()
        except LISTENING_FAILURES as error:
            DATABASE.is_away(error)
        await asyncio.sleep(retry_seconds)
        retry_seconds = min(retry_seconds * 2, LONGEST_RETRY_SECONDS)


async def _wait_for_any(seconds: float, *events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
