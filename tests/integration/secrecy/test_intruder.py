"""An intruder has taken over the process that faces the internet. He has what it has: its settings, its files, its database role.

What he can do with all of that: insert mail, and learn which relay addresses there are. `test_database_roles.py` goes
through the tables; here is what he would try beside and behind them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.demo.postgres import CONNECTOR, OWNER, RELAY
from deploy.demo.settings import DemoSettings
from deploy.demo.stack import Stack
from migrations.upgrade import upgrade
from services.mailrelay.settings import RelaySettings
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.crypto.mail_key_files import MailPrivateKeyFile
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_grant, make_integration, make_relay_address, make_user
from tests.integration.mailrelay.accepting import DOMAIN, running_relay

ADDRESS = f"mabtekrud@{DOMAIN}"
SECRET = b"only the buyer and the seller know"
INLINE_LIMIT = 10_000

# Ways to mail, tokens, files, programs, other roles, and to standing still.
REFUSED = [
    "SET ROLE replyco_connector",
    "SET ROLE replyco_mail_worker",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "ALTER ROLE replyco_relay SUPERUSER",
    "ALTER ROLE replyco_connector PASSWORD 'mine'",
    "GRANT replyco_connector TO replyco_relay",
    "GRANT SELECT ON accepted_mail TO replyco_relay",
    "COPY accepted_mail (raw) TO STDOUT",
    "COPY (SELECT raw FROM accepted_mail) TO STDOUT",
    "COPY accepted_mail (raw) TO '/tmp/stolen'",
    "COPY relay_addresses (local_part) TO PROGRAM 'cat'",
    "COPY accepted_mail (raw) FROM '/etc/passwd'",
    "COPY accepted_mail (raw) FROM PROGRAM 'id'",
    "SELECT raw FROM accepted_mail",
    "SELECT content_key, envelope FROM accepted_mail",
    "SELECT id FROM accepted_mail",
    "SELECT count(*) FROM accepted_mail",
    "SELECT ctid FROM accepted_mail",
    "INSERT INTO accepted_mail (id) VALUES (gen_random_uuid()) RETURNING raw",
    "INSERT INTO accepted_mail (id) VALUES (gen_random_uuid()) ON CONFLICT (id) DO UPDATE SET raw = ''",
    "MERGE INTO accepted_mail a USING relay_addresses r ON a.id = r.id WHEN MATCHED THEN DELETE",
    "SELECT * FROM relay_addresses",
    "SELECT local_part FROM relay_addresses FOR UPDATE",
    "INSERT INTO relay_addresses (local_part) VALUES ('mine')",
    "DO $$ BEGIN LOCK TABLE accepted_mail IN ACCESS EXCLUSIVE MODE; END $$",
    "DO $$ BEGIN LOCK TABLE relay_addresses IN ACCESS EXCLUSIVE MODE; END $$",
    "DO $$ BEGIN LOCK TABLE grants IN ACCESS SHARE MODE; END $$",
    "CREATE TABLE mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE TEMP TABLE mine (x int)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FOREIGN DATA WRAPPER mine",
    "CREATE DATABASE mine",
    "CREATE PUBLICATION mine FOR TABLE accepted_mail",
    "CREATE RULE mine AS ON INSERT TO accepted_mail DO NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON accepted_mail EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "ALTER TABLE accepted_mail DISABLE ROW LEVEL SECURITY",
    "DROP TABLE accepted_mail",
    "DO $$ BEGIN PERFORM raw FROM accepted_mail; END $$",
    "SELECT ensure_partitions(now())",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_stat_file('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(lo_create(0), '/tmp/stolen')",
    "SELECT * FROM pg_largeobject",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_statistic",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT pg_reload_conf()",
    "ALTER SYSTEM SET fsync = off",
    "SET session_replication_role = replica",
    "SET log_statement = 'all'",
    "SELECT current_setting('data_directory')",
    "SELECT pg_create_physical_replication_slot('mine')",
]


@pytest.fixture(autouse=True)
async def loot(sessions: Sessions, keyring: Keyring, database: Database, keys: Keys) -> None:
    """Something of everything: a store with its token, a small mail in its row, a large one in its blob."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_user(session, account.id)
        integration = await make_integration(session, account.id)
        await make_grant(session, keyring, integration)
        await make_relay_address(session, integration, local_part="mabtekrud")
    async with (
        running_relay(database, keys, inline_limit_bytes=INLINE_LIMIT) as relay,
        relay.client() as client,
    ):
        for mail in (SECRET, SECRET * INLINE_LIMIT):
            assert (await client.deliver(ADDRESS, mail)).startswith("250 ")


@pytest.fixture
async def intruder(database: Database) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(RELAY)))
    yield connection
    await connection.close()


async def test_postgresql_refuses_each(database: Database, intruder: "asyncpg.Connection[Any]"):
    # What holds for a database is not copied with it: as an operator does it, once more.
    await upgrade(database.url(OWNER))
    done = []
    for statement in REFUSED:
        try:
            await intruder.execute(statement)
            done.append(statement)
        except asyncpg.InsufficientPrivilegeError:
            pass

    assert done == []


async def test_he_does_not_see_what_others_ask(database: Database, intruder: "asyncpg.Connection[Any]"):
    other = await asyncpg.connect(asyncpg_dsn(database.url(CONNECTOR)))
    await other.execute("SELECT 'a secret of the connector'")
    seen = await intruder.fetch("SELECT query FROM pg_stat_activity WHERE usename <> current_user")
    pid = other.get_server_pid()

    assert {row["query"] for row in seen} <= {"<insufficient privilege>", ""}
    for function in ("pg_terminate_backend", "pg_cancel_backend", "pg_log_backend_memory_contexts"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await intruder.fetchval(f"SELECT {function}($1)", pid)
    await other.close()


async def test_statistics_tell_him_no_values(database: Database, intruder: "asyncpg.Connection[Any]"):
    """ANALYZE keeps samples of what stands in the columns."""
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("ANALYZE")
    await owner.close()

    seen = await intruder.fetch("SELECT tablename, attname FROM pg_stats WHERE schemaname = 'public'")

    assert {row["tablename"] for row in seen} <= {"relay_addresses", "alembic_version"}
    assert {row["attname"] for row in seen} <= {"id", "account_id", "local_part", "retired_at", "version_num"}


async def test_what_he_hears_are_ids(database: Database, intruder: "asyncpg.Connection[Any]", keys: Keys):
    """Whoever may connect may listen; so nothing but ids and addresses is ever said."""
    heard: list[str] = []
    told = asyncio.Event()

    def on_notification(*arguments: object) -> None:
        heard.append(str(arguments[3]))
        told.set()

    await intruder.add_listener("replyco_accepted_mail", on_notification)
    await intruder.add_listener("replyco_events", on_notification)
    await intruder.add_listener("replyco_relay_addresses", on_notification)
    async with running_relay(database, keys) as relay, relay.client() as client:
        assert (await client.deliver(ADDRESS, SECRET)).startswith("250 ")
    async with asyncio.timeout(60):
        await told.wait()

    assert heard == [""]


async def test_his_files_open_nothing(database: Database, keys: Keys):
    """The blobs and his key file: the mail is sealed, and the key is the public half."""
    large = [file for file in keys.blob_folder.rglob("*") if file.is_file()]

    assert large
    assert all(SECRET not in file.read_bytes() for file in large)
    assert json.loads(keys.mail_public_key_file.read_bytes()).keys() == {"id", "public", "made"}
    with pytest.raises(KeyFileUnusable):
        MailPrivateKeyFile.load(keys.mail_public_key_file)
    with pytest.raises(KeyFileUnusable):
        KeyFile.load(keys.mail_public_key_file)
    # And what he might copy out of the database, if he were to find another way in.
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    rows = await owner.fetch("SELECT a::text AS everything FROM accepted_mail a")
    await owner.close()
    assert len(rows) == 2
    assert all(SECRET.hex() not in row["everything"] for row in rows)


def test_his_settings_name_no_key_that_opens(tmp_path: Path):
    """As the demo starts the relay; a deployment gives the same variables."""
    stack = Stack(
        DemoSettings(data_folder=tmp_path, database_url=SecretStr("postgresql://somewhere/replyco"))
    )
    environments = stack._environments()
    relays, workers = environments["mailrelay"], environments["mail-worker"]

    secrets = {workers["REPLYCO_KEY_FILE"], workers["REPLYCO_MAIL_PRIVATE_KEY_FILE"]}
    assert not secrets & set(relays.values())
    assert not [name for name in relays if "SECRET" in name or "PASSWORD" in name]
    files = {
        name for name, field in RelaySettings.model_fields.items() if field.annotation in {Path, Path | None}
    }
    assert files == {"mail_public_key_file", "tls_certificate_file", "tls_key_file"}
