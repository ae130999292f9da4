"""What stands between a process and its database: TLS that is verified, and a sentence with the cure for each way in which it fails."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner

from deploy.demo.postgres import MAIL_WORKER, OWNER, RELAY
from migrations.__main__ import cli as migrations
from services.connector.__main__ import cli as connector
from services.mailrelay.__main__ import cli as mailrelay
from shared.database import create_engine, create_sessions, database_problem
from tests.conftest import Keys
from tests.integration.shared.tls_postgres import WITHOUT_CREATEROLE, TlsPostgres, tls_postgres

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

_CONNECTOR = {
    "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
    "REPLYCO_AMAZON_CLIENT_ID": "amzn1.application-oa2-client.test",
    "REPLYCO_AMAZON_CLIENT_SECRET": "canary-client-secret",
    "REPLYCO_AMAZON_BASE_URL": "http://127.0.0.1:1",
}
ENTRY_POINTS: dict[str, tuple[typer.Typer, tuple[str, ...]]] = {
    "migrations upgrade": (migrations, ("upgrade",)),
    "migrations roles": (migrations, ("roles",)),
    "accounts list": (connector, ("accounts", "list")),
    "keys status": (connector, ("keys", "status")),
    "connector doctor": (connector, ("doctor",)),
    "connector compliance": (connector, ("compliance",)),
    "reprocess": (mailrelay, ("reprocess", "--dry-run")),
}
CAUSES: dict[str, tuple[Callable[[TlsPostgres], str], str]] = {
    "wrong password": (lambda server: server.url(password="canary"), "refuses the password"),
    "nobody listens": (
        lambda server: server.url(options="sslmode=disable").replace(f":{server.port}/", ":1/"),
        "Nobody listens",
    ),
    "no such host": (lambda server: server.url(host="nobody.invalid"), "has no address"),
    "no such database": (lambda server: server.url(database="canary"), "no database of the name"),
    "no such user": (lambda server: server.url("canary"), "does not let the user"),
    "plain": (lambda server: server.url(options="sslmode=disable"), "takes nobody without TLS"),
    "another CA": (
        lambda server: server.url(options=f"sslmode=verify-full&sslrootcert={server.other_ca_file}"),
        "certificate is not proven",
    ),
    "another name": (lambda server: server.url(host="127.0.0.2"), "certificate is not proven"),
    "no CA": (
        lambda server: server.url(options="sslmode=verify-full&sslrootcert=/nowhere/canary.crt"),
        "sslrootcert",
    ),
    "no such mode": (lambda server: server.url(options="sslmode=canary"), "sslmode"),
}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """A command that ends does not wait for the farewell of a TLS connection; what is left of it goes here, in no other test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
async def server(scratch: Path, migrated_server: Path) -> AsyncIterator[TlsPostgres]:
    folder = scratch / uuid4().hex[:8]
    folder.mkdir()
    async with tls_postgres(folder, migrated_server) as running:
        yield running


async def run(entry_point: str, url: str, keys: Keys) -> tuple[int, str]:
    cli, arguments = ENTRY_POINTS[entry_point]
    environment = {
        **_CONNECTOR,
        "REPLYCO_DATABASE_URL": url,
        "REPLYCO_DEVELOPMENT": "true",
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
        "REPLYCO_BLOB_URL": keys.blob_url,
        "REPLYCO_SMTP_HOSTNAME": "mx.test.example",
    }
    result = await asyncio.to_thread(CliRunner(env=environment).invoke, cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("entry_point", sorted(ENTRY_POINTS))
@pytest.mark.parametrize("cause", sorted(CAUSES))
async def test_each_command_names_the_cure(server: TlsPostgres, keys: Keys, cause: str, entry_point: str):
    url, cure = CAUSES[cause]

    code, output = await run(entry_point, url(server), keys)

    assert code in {1, 2}
    [line] = [line for line in output.splitlines() if cure in line]
    assert "canary" not in output
    assert "Traceback" not in output
    # `doctor` goes on; every other command says this and nothing else.
    assert "doctor" in entry_point or len(output.splitlines()) <= 2, (line, output)


# Without the file of its CA no process starts.
@pytest.mark.parametrize("cause", sorted(CAUSES.keys() - {"no CA"}))
async def test_readiness_names_the_cure(server: TlsPostgres, cause: str):
    url, cure = CAUSES[cause]
    engine = create_engine(url(server), application_name="tests", connect_seconds=5)

    problem = await database_problem(create_sessions(engine))
    await engine.dispose()

    assert problem is not None
    assert cure in problem
    assert "canary" not in problem


async def test_migrations_need_somebody_who_makes_roles(server: TlsPostgres, keys: Keys):
    url = server.url(WITHOUT_CREATEROLE, database="of_another")

    code, output = await run("migrations roles", url, keys)

    assert code == 1
    assert "CREATEROLE" in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("role", [RELAY, MAIL_WORKER])
async def test_every_role_reaches_its_database_by_verified_tls(server: TlsPostgres, role: str, mode: str):
    engine = create_engine(
        server.url(role, options=f"sslmode={mode}&sslrootcert={server.ca_file}"), application_name="tests"
    )
    problem = await database_problem(create_sessions(engine))
    await engine.dispose()

    # The server takes nobody without TLS.
    assert problem is None


@pytest.mark.parametrize(
    ("entry_point", "role"),
    [("migrations upgrade", OWNER), ("accounts list", "replyco_connector"), ("reprocess", MAIL_WORKER)],
)
async def test_every_command_reaches_its_database_by_verified_tls(
    server: TlsPostgres, keys: Keys, entry_point: str, role: str
):
    code, output = await run(entry_point, server.url(role), keys)

    assert code == 0, output


async def test_doctor_agrees_about_verified_tls(server: TlsPostgres, keys: Keys):
    _, output = await run("connector doctor", server.url(), keys)

    assert "The database answers" in output
    assert "certificate" not in output


async def test_compliance_claims_no_tls_that_postgresql_does_not_see(server: TlsPostgres, keys: Keys):
    _, output = await run("connector compliance", server.url(), keys)

    # What ends TLS here stands in front of PostgreSQL.
    assert (
        "to show   TLS to the database\n            PostgreSQL itself sees no TLS on this connection."
        in output
    )
