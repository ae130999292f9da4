"""Mail workers are killed, and so is PostgreSQL, while mail waits: in the end each mail is visible exactly once."""

from deploy.demo.postgres import OWNER
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.mailrelay.worker_kills import delivered_though_killed
from tests.integration.mailrelay.delivery.conftest import make_store

# `make soak` kills twenty over 2,000 mails, three times.
MAILS = 80
KILLS = 1


async def test_mail_is_visible_once_though_workers_and_postgresql_are_killed(
    own_database: Database, keys: Keys, keyring: Keyring
):
    engine = create_engine(own_database.url(OWNER), application_name="tests")
    store = await make_store(create_sessions(engine), keyring)
    await engine.dispose()

    visible = await delivered_though_killed(own_database, keys, store, mails=MAILS, kills=KILLS)

    assert visible.is_right, visible
