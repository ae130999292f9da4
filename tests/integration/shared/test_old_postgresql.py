"""A PostgreSQL that is too old is refused at the start of each role, with the cure. Between the role and the real one stands who says that it is 15."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, RELAY
from services.connector.settings import ConnectorSettings
from services.connector.worker import run_worker as run_connector_worker
from services.mailrelay.settings import MailWorkerSettings
from services.mailrelay.worker import run_worker as run_mail_worker
from shared.database import create_engine, create_sessions, database_problem
from shared.errors import CannotStart
from tests.commands import run_process
from tests.conftest import Database, Keys
from tests.integration.mailrelay.accepting import running_relay

_SOCKET = ".s.PGSQL.5432"
_TOLD = b"server_version\0"
_CURE = "The database server is PostgreSQL 15, and 16 or newer is needed"


@pytest.fixture
async def folder(database: Database, scratch: Path) -> AsyncIterator[Path]:
    """Of the socket at which an old server seems to listen."""
    real = database.postgres.server.get_postmaster_info().socket_dir
    folder = scratch / uuid4().hex[:8]
    folder.mkdir()
    passing: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(f"{real}/{_SOCKET}")
        both = [
            asyncio.create_task(_pass(reader, ours)),
            asyncio.create_task(_pass(theirs, writer, aged=True)),
        ]
        passing.update(both)

    server = await asyncio.start_unix_server(connected, folder / _SOCKET)
    async with server:
        yield folder
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, aged: bool = False) -> None:
    try:
        while part := await reader.read(65_536):
            before, told, rest = part.partition(_TOLD)
            # As long as before: the message says how long it is.
            writer.write(before + told + b"15" + rest[2:] if aged and told else part)
    finally:
        writer.close()


def _url(folder: Path, database: Database, role: str) -> str:
    return f"postgresql://{role}@/{database.name}?host={quote(str(folder), safe='')}"


def _environment(url: str, keys: Keys) -> dict[str, str]:
    return {
        "REPLYCO_DATABASE_URL": url,
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
        "REPLYCO_AMAZON_CLIENT_ID": "client",
        "REPLYCO_AMAZON_CLIENT_SECRET": "secret",
        "REPLYCO_PORT": "0",
        "REPLYCO_SIDE_PORT": "0",
    }


async def test_the_relay_does_not_start(folder: Path, database: Database, keys: Keys):
    with pytest.raises(CannotStart, match=_CURE):
        async with running_relay(database, keys, database_url=_url(folder, database, RELAY)):
            pass


async def test_the_mail_worker_does_not_start(folder: Path, database: Database, keys: Keys):
    settings = MailWorkerSettings.model_validate(
        {
            "database_url": _url(folder, database, MAIL_WORKER),
            "key_file": keys.key_file,
            "mail_private_key_file": keys.mail_private_key_file,
        }
    )
    with pytest.raises(CannotStart, match=_CURE):
        await run_mail_worker(settings, asyncio.Event())


async def test_the_connectors_worker_does_not_start(folder: Path, database: Database, keys: Keys):
    values = {
        name.removeprefix("REPLYCO_").lower(): value
        for name, value in _environment(_url(folder, database, CONNECTOR), keys).items()
    }
    with pytest.raises(CannotStart, match=_CURE):
        await run_connector_worker(ConnectorSettings.model_validate(values), asyncio.Event())


async def test_serve_ends_with_the_cure(folder: Path, database: Database, keys: Keys):
    code, output = await run_process(_environment(_url(folder, database, CONNECTOR), keys), "serve")

    assert code == 2, output


async def test_readiness_tells_it(folder: Path, database: Database):
    engine = create_engine(_url(folder, database, CONNECTOR), application_name="tests")
    problem = await database_problem(create_sessions(engine))
    await engine.dispose()

    assert str(problem).startswith(_CURE)
