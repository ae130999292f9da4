"""What `make soak` does: the fast tests' own faults and generators, for longer, cut into rounds of a minute or so."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test
from hypothesis.strategies import booleans
from playwright.async_api import Browser, expect

from deploy.demo.postgres import CONNECTOR, OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from services.connector.integrations.erasure import erase_removed
from services.mailrelay.parsing.mail import parse_unguarded
from shared.blobs import open_blobs
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.settings import BlobSettings
from tests.browser.product.payloads import PAYLOADS
from tests.browser.product.started import started_product
from tests.browser.product.test_hostile_mail import look_at_all, look_at_what_was_let_through
from tests.browser.running import PATIENCE_MS, chromium, german_page, running_site
from tests.browser.steps import Site
from tests.browser.test_inbox_work import a_day_of_an_agent, scrolled_to_the_end
from tests.browser.test_requirements import connects_a_store, walking
from tests.conftest import Database, Keys
from tests.factories import make_account
from tests.faults.connector.data_key_kills import changed_through_kills
from tests.faults.connector.order_week import Plan, lived_through
from tests.faults.connector.renewals import renewed
from tests.faults.connector.reply_request_kills import Victim, answered_though_killed
from tests.faults.connector.report_kills import stored_through_kills
from tests.faults.connector.webhook_kills import carried_through_kills
from tests.faults.mailrelay import clock
from tests.faults.mailrelay.clock import Clock
from tests.faults.mailrelay.counting import Count
from tests.faults.mailrelay.crowd import peak_mb
from tests.faults.mailrelay.faults import answers_lost, clock_jumped, slowed
from tests.faults.mailrelay.kills import mixed, postgresql_ended, relay_killed, survived
from tests.faults.mailrelay.large_at_once import large_at_once
from tests.faults.mailrelay.load import RelayProcess, reachable, running
from tests.faults.mailrelay.migrating import revisions_with_data, upgraded_under_load
from tests.faults.mailrelay.one_address import crowded_by_one
from tests.faults.mailrelay.reply_kills import replied_though_killed
from tests.faults.mailrelay.worker_kills import delivered_though_killed
from tests.faults.outages import SILENT, STOPPED, Outage
from tests.faults.outages import lived_through as lived_through_outage
from tests.faults.rolling import rolled
from tests.faults.upgrading import extract_version_before, upgraded
from tests.integration.connector.described.callers import Kind
from tests.integration.connector.described.trying import served, tried
from tests.integration.connector.integrations.erasing import make_removed_store, rows_left
from tests.integration.mailrelay.accepting import stored_mails
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.integration.mailrelay.delivery.conftest import make_store
from tests.integration.mailrelay.smtp.test_fuzz import Conversation
from tests.integration.mailrelay.smtp.test_fuzz_limits import converse, limited_relay
from tests.roles import ROLES
from tests.unit.mailrelay.outbound.reading_back import check_read_back, replies
from tests.unit.mailrelay.parsing.mutations import MAX_MB, try_mutations
from tests.unit.mailrelay.parsing.test_any_bytes import check_bounds, mutated_mails

_KILLS_A_ROUND = 25
_RELAY_KILLS_A_ROUND = 10
_MAILS_A_WORKERS_ROUND = 2_000
_WORKERS_KILLED_A_ROUND = 20
_SENT_REPLIES_A_ROUND = 1_000
_SENDERS_KILLED_A_ROUND = 30
_CONVERSATIONS_A_ROUND = 500
_LIMITED_CONVERSATIONS_A_ROUND = 200
_MUTATED_MAILS_A_ROUND = 10_000
_DAMAGED_MAILS_A_ROUND = 25_000
_REPLIES_A_ROUND = 5_000
_WEEK = Plan(
    stores=20,
    days=7,
    step=timedelta(minutes=14),
    kills=40,
    orders_a_day=40,
    history=300,
    looks_every=12,
)
_EXAMPLES_AN_OPERATION = 30
_CONVERSATIONS_OF_A_LARGE_INSTALLATION = 100_000
_CONVERSATIONS_OF_A_LONG_LIST = 10_000
_ERASED_CONVERSATIONS = 50_000
_GROWTH_LIMIT_MB = 50
_TEMPLATE = "replyco_template"
_JUMPS = ["-1d", "+1d", "+1h", "-1h", "+20d", "-20d", "+0"]
# Limits have tests of their own; here they would hide what the session itself answers.
_NO_LIMITS = {"error_limit": "1000000", "unknown_recipient_limit": "1000000", "delay_seconds": "0"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of a round, and whether they are as they have to be."""

    is_right: bool
    counts: Mapping[str, int]


class Environment:
    """A PostgreSQL that may be killed, keys, and a fresh database for each round."""

    def __init__(self, postgres: EmbeddedPostgres, keys: Keys, folder: Path) -> None:
        self._postgres = postgres
        self.keys = keys
        self.folder = folder

    @classmethod
    async def make(cls, folder: Path) -> "Environment":
        postgres = await asyncio.to_thread(EmbeddedPostgres.start, folder / "pg")
        await postgres.create_database(_TEMPLATE)
        await upgrade(postgres.url(OWNER, _TEMPLATE))
        await postgres.allow_logins()
        return cls(postgres, Keys.make(folder), folder)

    @property
    def keyring(self) -> Keyring:
        return Keyring(KeyFile.load(self.keys.key_file))

    @asynccontextmanager
    async def sessions(self) -> AsyncIterator[tuple[Database, Sessions]]:
        """A fresh database, and sessions with the connector's rights in it."""
        database = await self.database()
        engine = create_engine(database.url(CONNECTOR), application_name="soak")
        try:
            yield database, create_sessions(engine)
        finally:
            await engine.dispose()

    async def database(self, *, is_empty: bool = False) -> Database:
        """A migrated database, or one without any table."""
        name = f"soak_{uuid4().hex}"
        await self._postgres.create_database(name, template="template1" if is_empty else _TEMPLATE)
        return Database(self._postgres, name)

    def close(self) -> None:
        self._postgres.stop()


Round = Callable[[Environment], Awaitable[Outcome]]


def _outcome(count: Count, **more: int) -> Outcome:
    return Outcome(count.is_right and count.accepted > 0, {**more, **asdict(count)})


async def _kills(environment: Environment) -> Outcome:
    victims = mixed(_KILLS_A_ROUND)
    count = await survived(
        await environment.database(), environment.keys, environment.folder, victims, processes="2"
    )
    return _outcome(count, kills=len(victims))


async def _worker_kills(environment: Environment) -> Outcome:
    database = await environment.database()
    engine = create_engine(database.url(OWNER), application_name="soak")
    store = await make_store(create_sessions(engine), environment.keyring)
    await engine.dispose()
    visible = await delivered_though_killed(
        database, environment.keys, store, mails=_MAILS_A_WORKERS_ROUND, kills=_WORKERS_KILLED_A_ROUND
    )
    return Outcome(visible.is_right, {"kills": _WORKERS_KILLED_A_ROUND, **asdict(visible)})


async def _reply_kills(environment: Environment) -> Outcome:
    sent = await replied_though_killed(
        await environment.database(),
        environment.keys,
        environment.keyring,
        replies=_SENT_REPLIES_A_ROUND,
        kills=_SENDERS_KILLED_A_ROUND,
    )
    return Outcome(sent.is_right, asdict(sent))


async def _reply_request_kills(environment: Environment) -> Outcome:
    victims: list[Victim] = ["connector", "sender", "connector", "postgresql"] * 5
    folder = environment.folder / uuid4().hex
    folder.mkdir()
    answered = await answered_though_killed(
        await environment.database(),
        environment.keys,
        environment.keyring,
        folder,
        replies=_SENT_REPLIES_A_ROUND,
        victims=victims,
    )
    counts = asdict(answered)
    return Outcome(answered.is_right, {**counts.pop("sent"), **counts})


async def _relay_kills(environment: Environment) -> Outcome:
    count = await relay_killed(
        await environment.database(),
        environment.keys,
        environment.folder,
        kills=_RELAY_KILLS_A_ROUND,
        mails=150,
    )
    return _outcome(count, kills=_RELAY_KILLS_A_ROUND)


async def _postgresql_ends(environment: Environment) -> Outcome:
    count = await postgresql_ended(
        await environment.database(), environment.keys, environment.folder, mails=300
    )
    return _outcome(count, kills=1)


def _database_away(outage: Outage) -> Round:
    async def run(environment: Environment) -> Outcome:
        folder = environment.folder / uuid4().hex
        folder.mkdir()
        told = await lived_through_outage(await environment.database(), environment.keys, folder, outage)
        if told.errors:
            raise RuntimeError(told.errors)
        return Outcome(told.is_right, {"roles": told.roles, "failures": told.failures})

    return run


async def _rolling_restart(environment: Environment) -> Outcome:
    folder = environment.folder / uuid4().hex
    folder.mkdir()
    count = await rolled(await environment.database(), environment.keys, folder, roles=ROLES, replaced_each=2)
    if count.wrong:
        raise RuntimeError(count.wrong)
    counts = {
        name: getattr(count, name)
        for name in (
            *("replaced", "requests", "notes_written", "notes_kept", "streams_ended", "sessions_ended"),
            *("put_off", "not_greeted", "not_taken", "turned_away"),
        )
    }
    return Outcome(count.is_right, {**counts, **asdict(count.mails)})


async def _upgrade(environment: Environment) -> Outcome:
    """The version before the last migration, taken from the history, and this one beside it."""
    folder = environment.folder / uuid4().hex
    code = folder / "code"
    code.mkdir(parents=True)
    extract_version_before(code)
    count = await upgraded(await environment.database(is_empty=True), folder, code)
    if count.wrong:
        raise RuntimeError(count.wrong)
    counts = asdict(count)
    mails = counts.pop("mails")
    counts.pop("wrong")
    return Outcome(count.is_right, {**counts, **mails})


async def _replicas(environment: Environment) -> Outcome:
    async with environment.sessions() as (database, sessions):
        renewals = await renewed(
            database, environment.keys, sessions, environment.keyring, replicas=3, periods=3, kills=0
        )
    return Outcome(renewals.is_right and not renewals.repeated, {"renewals": sum(renewals.calls)})


async def _replica_kills(environment: Environment) -> Outcome:
    kills = 6
    async with environment.sessions() as (database, sessions):
        renewals = await renewed(
            database, environment.keys, sessions, environment.keyring, replicas=3, periods=0, kills=kills
        )
    return Outcome(
        renewals.is_right,
        {"kills": kills, "renewals": sum(renewals.calls), "repeated": renewals.repeated},
    )


async def _report_kills(environment: Environment) -> Outcome:
    rows, kills = 20_000, 3
    async with environment.sessions() as (database, sessions):
        stored = await stored_through_kills(
            database, environment.keys, sessions, environment.keyring, rows=rows, kills=kills
        )
    return Outcome(stored.is_right, {"kills": kills, "rows": rows})


async def _data_key_kills(environment: Environment) -> Outcome:
    count = await changed_through_kills(
        await environment.database(), environment.keys, environment.folder, messages=2_000, kills=12
    )
    return Outcome(count.is_right, asdict(count))


async def _order_week(environment: Environment) -> Outcome:
    database = await environment.database()
    engine = create_engine(database.url(OWNER), application_name="soak")
    try:
        counted = await lived_through(
            database, environment.keys, create_sessions(engine), environment.keyring, _WEEK
        )
    finally:
        await engine.dispose()
    return Outcome(counted.is_right, asdict(counted))


async def _webhook_kills(environment: Environment) -> Outcome:
    kills = 4
    folder = environment.folder / uuid4().hex
    folder.mkdir()
    carried = await carried_through_kills(
        await environment.database(), environment.keys, folder, events=60, kills=kills
    )
    return Outcome(carried.is_right and carried.events == 60, {"kills": kills, "deliveries": carried.arrived})


async def _one_address(environment: Environment) -> Outcome:
    connections = 5_000
    count = await crowded_by_one(
        await environment.database(), environment.keys, environment.folder, connections=connections
    )
    return _outcome(count, connections=connections)


async def _large_mails(environment: Environment) -> Outcome:
    folder = environment.folder / uuid4().hex
    folder.mkdir()
    large = await large_at_once(
        await environment.database(), environment.keys, folder, megabytes=20, budget_mb=256
    )
    accepted = large.with_size["250"] + large.without_size["250"]
    return Outcome(large.is_right, {"accepted": accepted, "grown_mb": round(large.grown_mb)})


async def _slow(environment: Environment) -> Outcome:
    count = await slowed(
        await environment.database(),
        environment.keys,
        environment.folder,
        delay_seconds=2,
        mails=40,
        commit_timeout_seconds=30,
    )
    return _outcome(count)


async def _answers_lost(environment: Environment) -> Outcome:
    times = 100
    count = await answers_lost(
        await environment.database(), environment.keys, environment.folder, times=times, clients=10
    )
    return _outcome(count, answers_lost=times)


async def _clock(environment: Environment) -> Outcome:
    library = clock.installed()
    if library is None:
        raise RuntimeError(clock.REASON)
    jumps = _JUMPS * 4
    count = await clock_jumped(
        await environment.database(),
        environment.keys,
        environment.folder,
        Clock(environment.folder / "clock", library),
        jumps=jumps,
        mails=100,
    )
    return _outcome(count, jumps=len(jumps))


async def _conversations(environment: Environment) -> Outcome:
    database = await environment.database()
    accepted: list[bytes] = []
    log = environment.folder / "fuzz.log"
    async with running(database, environment.keys, log, **_NO_LIMITS) as relay:
        await reachable(relay)
        here = type("ConversationHere", (Conversation,), {"port": relay.port, "accepted": accepted})
        before = _peak_mb(relay)
        await asyncio.to_thread(run_state_machine_as_test, here, settings=_many(_CONVERSATIONS_A_ROUND))
        grown_mb = _peak_mb(relay) - before
    kept = sorted(await stored_mails(database, environment.keys)) == sorted(accepted)
    errors = log.read_text().count('"level": "error"')
    return Outcome(
        kept and not errors and grown_mb < _GROWTH_LIMIT_MB,
        {
            "conversations": _CONVERSATIONS_A_ROUND,
            "accepted": len(accepted),
            "errors": errors,
            "grown_mb": grown_mb,
        },
    )


async def _limits(environment: Environment) -> Outcome:
    """Conversations that run into every limit of a session."""
    folder = environment.folder / uuid4().hex
    folder.mkdir()
    files = CertificateFiles(folder)
    async with (
        environment.sessions() as (database, sessions),
        limited_relay(database, environment.keys, sessions, environment.keyring, files) as relay,
    ):
        accepted = await converse(relay, files, _many(_LIMITED_CONVERSATIONS_A_ROUND))
        kept = sorted(await stored_mails(database, environment.keys)) == sorted(accepted)
    return Outcome(
        kept and len(accepted) > 0,
        {"conversations": _LIMITED_CONVERSATIONS_A_ROUND, "accepted": len(accepted)},
    )


def _peak_mb(relay: RelayProcess) -> int:
    return round(max(peak_mb(process.pid) for process in relay.processes))


async def _mutated_mails(_environment: Environment) -> Outcome:
    def check(raw: bytes) -> None:
        check_bounds(parse_unguarded(raw))

    checked = _many(_MUTATED_MAILS_A_ROUND)(given(raw=mutated_mails())(check))
    await asyncio.to_thread(checked)
    return Outcome(True, {"mails": _MUTATED_MAILS_A_ROUND})


async def _replies(_environment: Environment) -> Outcome:
    checked = _many(_REPLIES_A_ROUND)(given(reply=replies(), eight_bit=booleans())(check_read_back))
    await asyncio.to_thread(checked)
    return Outcome(True, {"replies": _REPLIES_A_ROUND})


async def _damaged_mails(_environment: Environment) -> Outcome:
    first = secrets.randbelow(10**9)
    tried = await asyncio.to_thread(try_mutations, first, _DAMAGED_MAILS_A_ROUND)
    counts = {"mails": _DAMAGED_MAILS_A_ROUND, **tried.kinds}
    figures = {"peak_mb": tried.mb, "slowest_ms": round(tried.seconds * 1000)}
    return Outcome(
        tried.mb < MAX_MB and sum(tried.kinds.values()) == _DAMAGED_MAILS_A_ROUND, {**counts, **figures}
    )


def _migrations(revision: str) -> Round:
    """A large installation of that version, upgraded while mail is accepted."""

    async def run(environment: Environment) -> Outcome:
        database = await environment.database(is_empty=True)
        log = environment.folder / "migrations.log"
        count = await upgraded_under_load(
            database,
            environment.keys,
            log,
            stops=[revision],
            conversations=_CONVERSATIONS_OF_A_LARGE_INSTALLATION,
        )
        if count.differences:
            raise RuntimeError(count.differences)
        counts = {
            "conversations": count.conversations,
            "rows_missing": count.rows_missing,
            "mails_put_off": count.mails_put_off,
        }
        return Outcome(count.is_right, {**counts, **asdict(count.mails)})

    return run


async def _erasure(environment: Environment) -> Outcome:
    """A store of fifty thousand conversations, and one of a tenth of it, are erased: a conversation costs the same in both."""
    database = await environment.database()
    engine = create_engine(database.url(CONNECTOR), application_name="soak")
    sessions, blobs = create_sessions(engine), open_blobs(BlobSettings(blob_url=environment.keys.blob_url))
    async with sessions.begin() as session:
        account = await make_account(session, Keyring(KeyFile.load(environment.keys.key_file)))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    microseconds, left = [], 0
    for conversations in (_ERASED_CONVERSATIONS // 10, _ERASED_CONVERSATIONS):
        await make_removed_store(owner, account.id, conversations)
        began = time.monotonic()
        await erase_removed(sessions, blobs, datetime.now(UTC))
        microseconds.append(round((time.monotonic() - began) / conversations * 1e6))
        left += await rows_left(owner)
    await owner.close()
    await engine.dispose()
    few, many = microseconds
    return Outcome(
        left == 0 and many < 2 * few,
        {"conversations": _ERASED_CONVERSATIONS, "left": left, "us_each": many, "us_each_of_a_tenth": few},
    )


async def _hostile_mail(_environment: Environment) -> Outcome:
    """Each payload in HTML of its own, in a browser."""
    expect.set_options(timeout=PATIENCE_MS)
    async with chromium() as browser, started_product() as stack:
        await look_at_all(browser, stack, documents=len(PAYLOADS))
    return Outcome(True, {"payloads": len(PAYLOADS)})


@asynccontextmanager
async def _browsing(environment: Environment) -> AsyncIterator[tuple[Browser, Site]]:
    """A browser, and the pages over a fresh database."""
    expect.set_options(timeout=PATIENCE_MS)
    database = await environment.database()
    async with (
        chromium() as browser,
        running_site(database, environment.keys, environment.keyring) as site,
    ):
        yield browser, site


async def _hostile_frames(environment: Environment) -> Outcome:
    """Each payload in a document of its own, as if no cleaner had seen it, in a browser."""
    async with _browsing(environment) as (browser, site):
        await look_at_what_was_let_through(browser, site, documents=len(PAYLOADS))
    return Outcome(True, {"payloads": len(PAYLOADS)})


async def _long_list(environment: Environment) -> Outcome:
    """A list of conversations as long as no agent's, scrolled to its end in a browser."""
    async with _browsing(environment) as (browser, site), german_page(browser, site.url) as page:
        await scrolled_to_the_end(page, site, _CONVERSATIONS_OF_A_LONG_LIST)
    return Outcome(True, {"conversations": _CONVERSATIONS_OF_A_LONG_LIST})


async def _agents_day(environment: Environment) -> Outcome:
    """An agent answers twelve conversations by keyboard and does all else that keys can do with eight more."""
    async with _browsing(environment) as (browser, site), german_page(browser, site.url) as page:
        await a_day_of_an_agent(page, site, answered=12)
    return Outcome(True, {"conversations": 20})


async def _connecting_in_english(environment: Environment) -> Outcome:
    """The whole walk of the requirements, in English."""
    async with _browsing(environment) as (browser, site), walking(browser, site, "en") as walker:
        await connects_a_store(walker)
    return Outcome(True, {"walks": 1})


def _api(kind: Kind) -> Round:
    """Every operation of the API as this caller, with everything that schemathesis thinks of."""

    async def run(environment: Environment) -> Outcome:
        async with served(await environment.database(), environment.keys) as connector:
            findings = await tried(
                connector,
                kind,
                environment.folder,
                f"--max-examples={_EXAMPLES_AN_OPERATION}",
                "--generation-database=none",
            )
        if findings:
            raise RuntimeError(findings)
        return Outcome(True, {"callers": 1})

    return run


def _many(examples: int) -> settings:
    """Others each time."""
    return settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# Each of a minute or so, by name.
ROUNDS: Mapping[str, Round] = {
    **{f"kills-{number}": _kills for number in range(1, 9)},
    **{f"worker-kills-{number}": _worker_kills for number in range(1, 4)},
    **{f"reply-kills-{number}": _reply_kills for number in range(1, 4)},
    "reply-request-kills": _reply_request_kills,
    "relay-kills": _relay_kills,
    "postgresql-ends": _postgresql_ends,
    "one-address": _one_address,
    "large-mails": _large_mails,
    "database-away-stopped": _database_away(STOPPED),
    "database-away-silent": _database_away(SILENT),
    **{f"rolling-restart-{number}": _rolling_restart for number in range(1, 4)},
    "upgrade": _upgrade,
    "replicas": _replicas,
    **{f"replica-kills-{number}": _replica_kills for number in range(1, 3)},
    **{f"webhook-kills-{number}": _webhook_kills for number in range(1, 3)},
    "report-kills": _report_kills,
    "data-key-kills": _data_key_kills,
    "order-week": _order_week,
    "postgresql-slow": _slow,
    "postgresql-answers-lost": _answers_lost,
    "clock": _clock,
    **{f"fuzz-sessions-{number}": _conversations for number in range(1, 5)},
    **{f"fuzz-limits-{number}": _limits for number in range(1, 3)},
    **{f"fuzz-mails-{number}": _mutated_mails for number in range(1, 3)},
    "fuzz-replies": _replies,
    **{f"damaged-mails-{number}": _damaged_mails for number in range(1, 6)},
    **{f"migrations-{revision}": _migrations(revision) for revision in revisions_with_data()},
    "erasure": _erasure,
    "hostile-mail": _hostile_mail,
    "hostile-frames": _hostile_frames,
    "long-list": _long_list,
    "agents-day": _agents_day,
    "connecting-in-english": _connecting_in_english,
    **{f"fuzz-api-{kind.name.lower()}": _api(kind) for kind in Kind},
}
