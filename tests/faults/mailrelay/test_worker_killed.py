"""Mail workers are killed, and so is PostgreSQL, while mail waits: in the end each mail is visible exactly once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.mailrelay.worker_kills import delivered_though_killed
from tests.integration.mailrelay.delivery.conftest import make_store

# `make soak` kills twenty over 2,000 mails, three times.
MAILS = 200
KILLS = 2


@pytest.fixture(scope="module")
async def own_postgres(scratch: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server that may be killed without another test noticing."""
    server = EmbeddedPostgres.start(scratch / "pg-killed")
    await upgrade(server.url(OWNER))
    await server.allow_logins()
    yield server
    server.stop()


async def test_mail_is_visible_once_though_workers_and_postgresql_are_killed(
    own_postgres: EmbeddedPostgres, keys: Keys, keyring: Keyring
):
    database = Database(own_postgres, "postgres")
    engine = create_engine(database.url(OWNER), application_name="tests")
    store = await make_store(create_sessions(engine), keyring)
    await engine.dispose()

    visible = await delivered_though_killed(database, keys, store, mails=MAILS, kills=KILLS)

    assert visible.is_right, visible
