"""The real parts that tests run on: a PostgreSQL of their own, migrated once, and an empty database for each test."""

import fcntl
import gc
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import hypothesis
import pytest
import structlog
from prometheus_client import CollectorRegistry

from deploy.demo.postgres import CONNECTOR, OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.delivery.parser_pool import ParserPool
from shared.crypto.key_provider import KeyFile
from shared.crypto.mail_key_files import MailPrivateKeyFile, create_mail_key_pair
from shared.crypto.raw_mail import MailPrivateKey, MailPublicKey
from shared.database import Sessions
from shared.keyring import Keyring
from tests.kept_database import KeptDatabase, forget_outages
from tests.signing import amazon_dns
from tests.web_server import WebServer

TEMPLATE = "replyco_template"
_TESTS = Path(__file__).parent
# With which worker's part of the list the tests are run that take seconds: what one worker does last, alone, the others wait for. Two
# begin with the browser, which takes longest.
_LONG = (
    (1, "browser/product/*"),
    (1, "browser/test_[a-e]*"),
    (4, "browser/*"),
    (2, "faults/mailrelay/*"),
    (0, "faults/*"),
    (0, "integration/connector/described/*"),
    (0, "integration/packaging/*"),
    (3, "integration/mailrelay/*"),
)
# New objects.
_GARBAGE_AFTER = 20_000
_MEMORY = Path("/dev/shm")
# What the workers and the servers of fault tests take at most, with room to spare.
_ENOUGH_MEMORY = 4 * 1024**3
# What all workers of a run have in common lies there.
_COMMON_FOLDER = pytest.StashKey[Path]()


@dataclass(frozen=True)
class Database:
    """A migrated database of one test."""

    postgres: EmbeddedPostgres
    name: str

    def url(self, role: str) -> str:
        return self.postgres.url(role, self.name)


@dataclass(frozen=True)
class Keys:
    """The key files of a whole installation."""

    key_file: Path
    mail_private_key_file: Path
    mail_public_key_file: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """As `python -m services.connector keys create` does."""
        keys = cls(folder / "account-keys.json", folder / "mail-private.json", folder / "mail-public.json")
        KeyFile.create(keys.key_file)
        create_mail_key_pair(keys.mail_private_key_file, keys.mail_public_key_file)
        return keys

    @property
    def blob_folder(self) -> Path:
        """Where large mail lies, for whoever has these keys."""
        return self.key_file.parent / "blobs"

    @property
    def blob_url(self) -> str:
        return self.blob_folder.as_uri()

    @property
    def mail_private_keys(self) -> MailPrivateKeyFile:
        return MailPrivateKeyFile.load(self.mail_private_key_file)

    @property
    def mail_private_key(self) -> MailPrivateKey:
        return self.mail_private_keys.current

    @property
    def mail_public_key(self) -> MailPublicKey:
        return MailPublicKey.load(self.mail_public_key_file)


def pytest_configure(config: pytest.Config) -> None:
    """Exceptions in the log as Python writes them: drawn with boxes and variables, as structlog would, one takes seconds.

    And no example has a time by which it must be over: on a busy machine it would be the load that fails.
    """
    # Nothing that is imported and collected is garbage.
    gc.disable()
    # httpx2 and dnspython look for trio's helper with each request: what is not installed is not looked for again.
    if find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
    hypothesis.settings.register_profile("replyco", deadline=None)
    hypothesis.settings.load_profile("replyco")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    told = getattr(config, "workerinput", None)
    config.stash[_COMMON_FOLDER] = Path(
        tempfile.mkdtemp(prefix="replyco-", dir=memory_folder()) if told is None else told["common_folder"]
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """What pytest-xdist tells a worker that it starts."""
    node.workerinput["common_folder"] = str(node.config.stash[_COMMON_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[_COMMON_FOLDER], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Each worker of a run collects what is in a folder in an order of its own.

    In a fresh checkout they find then most of what another one has compiled meanwhile, instead of all compiling the same file.
    """
    report = yield
    number, workers = _worker(collector.config)
    if isinstance(collector, pytest.Directory) and report.passed and workers > 1:
        report.result = sorted(report.result, key=lambda node: crc32(f"{number} {node.nodeid}".encode()))
    return report


def _worker(config: pytest.Config) -> tuple[int, int]:
    """Which worker of how many this is."""
    told = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    return int(told["workerid"].removeprefix("gw")), told["workercount"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker of a run begins with tests that take long, most of them waiting, and ends with those that take milliseconds.

    pytest-xdist gives each worker a part of the list, all alike, and one that is done takes over from the end of another's.
    """
    _, workers = _worker(config)
    if workers == 1:
        return
    # Alike, wherever each has begun to collect.
    items.sort(key=lambda item: item.path)
    first: list[list[pytest.Item]] = [[] for _ in range(workers)]
    rest: list[pytest.Item] = []
    for item in items:
        part = _part(item.path)
        (rest if part is None else first[part % workers]).append(item)
    left = len(items)
    items.clear()
    for number, begin in enumerate(first):
        size = left // (workers - number)
        fill = max(0, size - len(begin))
        items += [*begin, *rest[:fill]]
        del rest[:fill]
        left -= len(begin) + fill
    items += rest


@cache
def _part(file: Path) -> int | None:
    """With which part of the list the tests of a file are run, if they take seconds: the first pattern counts."""
    name = file.relative_to(_TESTS).as_posix()
    return next((number for number, pattern in _LONG if fnmatch(name, pattern)), None)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look through it after each test.

    What a worker keeps from test to test, engines, their statements and routes, it looked through so often that it took a twentieth of
    all time; now as seldom as in a service (`services/connector/serving.py`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """That a database is back is told in the test that it was away in, and in no other."""
    # No fixture: of a test that does nothing else it would be a twelfth.
    try:
        return (yield)
    finally:
        forget_outages()


def memory_folder() -> Path | None:
    """Where files cost no disk, if this machine has such a place and it is large enough for the databases of a run."""
    is_enough = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_MEMORY
    return _MEMORY if is_enough else None


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder for the whole run, in memory where possible. Its path is short, because a Unix socket lies in it."""
    with tempfile.TemporaryDirectory(
        prefix="replyco-", dir=memory_folder(), ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
async def migrated_server(pytestconfig: pytest.Config) -> Path:
    """The folder of a server with a migrated database, to be copied. Nothing runs on it.

    The first worker that wants it makes it; the others wait for that.
    """
    common = pytestconfig.stash[_COMMON_FOLDER]
    folder, is_made = common / "pg", common / "made"
    with (common / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_made.exists():
            server = EmbeddedPostgres.start(folder)
            await server.create_database(TEMPLATE)
            await upgrade(server.url(OWNER, TEMPLATE))
            await server.allow_logins()
            server.close()
            is_made.touch()
    return folder


def start_copy(migrated_server: Path, folder: Path) -> EmbeddedPostgres:
    """A server of one's own with a migrated database."""
    # As it is, owners too: the files belong to the user as whom the server runs.
    subprocess.run(["cp", "-a", migrated_server, folder], check=True)
    return EmbeddedPostgres.start(folder)


@pytest.fixture(scope="session")
async def postgres(scratch: Path, migrated_server: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A running server with a migrated template database. It keeps what it has promised, as in production: the relay asks."""
    server = start_copy(migrated_server, scratch / "pg")
    await server.turn_autovacuum_off()
    yield server
    server.close()


class _Kept:
    """The worker's database, once a test has asked for one."""

    database: KeptDatabase | None = None


@pytest.fixture(scope="session")
async def kept() -> AsyncIterator[_Kept]:
    kept = _Kept()
    yield kept
    if kept.database is not None:
        await kept.database.drop()


@pytest.fixture
async def kept_database(
    postgres: EmbeddedPostgres, scratch: Path, kept: _Kept
) -> AsyncIterator[KeptDatabase]:
    """What `database` is; its connections outlive the test."""
    if kept.database is None:
        kept.database = await KeptDatabase.create(postgres, TEMPLATE, copy_files=scratch.parent == _MEMORY)
    yield kept.database
    if not await kept.database.is_as_new():
        await kept.database.drop()
        kept.database = None


@pytest.fixture
async def short_tables(kept_database: KeptDatabase) -> None:
    """For tests of plans: they are as in a new database, whatever earlier tests have left of deleted rows."""
    await kept_database.shorten()


@pytest.fixture
def database(postgres: EmbeddedPostgres, kept_database: KeptDatabase) -> Database:
    """A migrated, empty database that nobody else uses meanwhile."""
    return Database(postgres, kept_database.name)


@pytest.fixture
def sessions(kept_database: KeptDatabase) -> Sessions:
    """Sessions with the connector's rights."""
    return kept_database.sessions(CONNECTOR)


@pytest.fixture
def owner_sessions(kept_database: KeptDatabase) -> Sessions:
    """Sessions that may do everything, as relays and mail workers do what a test needs of them."""
    return kept_database.sessions(OWNER)


@pytest.fixture
async def name_servers() -> AsyncIterator[NameServers]:
    """For whoever delivers mail here: they know the keys that `tests.signing.signed` signs with."""
    servers = NameServers([amazon_dns().address], DnsMetrics(CollectorRegistry()))
    yield servers
    await servers.close()


@pytest.fixture(scope="session")
async def web_server() -> AsyncIterator[WebServer]:
    """For whoever needs an application on a real socket, one in a test."""
    async with WebServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def parser() -> Iterator[ParserPool]:
    """A process that parses mails, for whoever delivers some."""
    parser = ParserPool()
    yield parser
    parser.close()


@pytest.fixture(scope="session")
def keys(scratch: Path) -> Keys:
    return Keys.make(scratch)


@pytest.fixture(scope="session")
def keyring(keys: Keys) -> Keyring:
    return Keyring(KeyFile.load(keys.key_file))
