"""What `doctor` looks at, and how it says what is wrong. It changes nothing and shows no value of a secret."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured
from services.connector.amazon.notice_queue import open_notice_queue
from services.connector.doctor.findings import (
    Finding,
    Severity,
    end_of_client_secret,
    note,
    ok,
    settings_findings,
    unsafe_findings,
    warning,
    wrong,
)
from services.connector.settings import ConnectorSettings
from shared.blobs import BlobsUnavailable, open_blobs
from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.database import TABLES_MISSING, asyncpg_dsn, connect_driver, create_engine, create_sessions
from shared.database_cures import database_cure, version_problem
from shared.keyring import Keyring
from shared.schema_revision import FIND_REVISION, packaged_revisions, schema_problem

_CLOCK_TOLERANCE: Final = timedelta(seconds=30)
_PARTITIONS_AHEAD: Final = timedelta(days=28)
_AMAZON_TOKENS: Final = "https://api.amazon.com"


async def examine(settings: ConnectorSettings) -> list[Finding]:
    """Everything that `serve` and `worker` need, in the order in which one would repair it."""
    findings = [ok("The settings are complete."), *unsafe_findings(settings), *settings_findings(settings)]
    keys, finding = _key_file(settings)
    findings += [finding, *await _database(settings, keys), await _blobs(settings)]
    paused_at = await _amazon_paused_at(settings)
    if paused_at is None:
        findings += [await _amazon(settings), *await _notice_queue(settings)]
    else:
        findings.append(
            warning(
                f"All calls to Amazon are paused since {paused_at:%Y-%m-%d %H:%M}Z, so Amazon was not asked. `amazon status` says by whom "
                "and why, `amazon resume` lets them go on."
            )
        )
    if settings.notice_smtp_host is not None:
        tls = settings.notice_smtp_tls == "tls"
        findings.append(await _reachable(settings.notice_smtp_host, settings.notice_smtp_port, tls=tls))
    return findings


def _key_file(settings: ConnectorSettings) -> tuple[KeyFile | None, Finding]:
    try:
        keys = KeyFile.load(settings.key_file)
    except KeyFileUnusable:
        return None, wrong(
            f"{settings.key_file} is missing, unreadable or not a key file. Set REPLYCO_KEY_FILE to the file "
            "that `keys create` has written.",
        )
    return keys, ok("The key file is readable.")


async def _database(settings: ConnectorSettings, keys: KeyFile | None) -> list[Finding]:
    url = settings.database_url.get_secret_value()
    try:
        connection = await connect_driver(asyncpg_dsn(url), timeout=5, command_timeout=5)
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        ValueError,
    ) as error:
        return [
            wrong(
                database_cure(error)
                or f"The database cannot be reached ({type(error).__name__}). Is PostgreSQL running, and does "
                "REPLYCO_DATABASE_URL name the right host, database, user and password?",
            )
        ]
    try:
        findings = [
            _version(connection),
            await _pooler(connection),
            await _clock(connection),
            await _migrated(connection),
        ]
        has_tables = findings[-1].severity is not Severity.WRONG
        account_id = (
            await connection.fetchval("SELECT id FROM accounts ORDER BY id DESC LIMIT 1")
            if has_tables
            else None
        )
        if has_tables:
            findings += [
                await _partitions(connection),
                await _rights(connection),
                await _amazons_networks(connection),
            ]
            findings.append(await _client_secret(connection, settings.amazon_client_id))
            findings += await _webhook_ports(connection, settings.webhook_ports)
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        return [
            wrong(
                f"The database refuses us its tables ({type(error).__name__}). Run `python -m migrations upgrade`.",
            )
        ]
    finally:
        connection.terminate()
    if keys is None or account_id is None:
        return findings

    engine = create_engine(url, application_name="connector-doctor", pool_size=1)
    try:
        await Keyring(keys).of(create_sessions(engine), account_id)
    except SealBroken:
        findings.append(
            wrong(
                "The key file does not open the keys of the accounts in this database: it belongs to another "
                "installation, or a key was removed from it.",
            )
        )
    else:
        findings.append(ok("The key file opens the accounts' keys."))
    finally:
        await engine.dispose()
    return findings


def _version(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    major = connection.get_server_version().major
    problem = version_problem(major)
    return ok(f"The database answers (PostgreSQL {major}).") if problem is None else wrong(problem)


async def _clock(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    """Tokens end by the database's clock, sessions by ours."""
    asked = datetime.now(UTC)
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    apart = abs(theirs - asked)
    if apart <= _CLOCK_TOLERANCE:
        return ok("Our clock and the database's agree.")
    return wrong(
        f"Our clock and the database's are {int(apart.total_seconds())} seconds apart. Set both by NTP."
    )


async def _pooler(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    """Whoever keeps sessions apart from connections tells a process number that is not the session's."""
    if await connection.fetchval("SELECT pg_backend_pid()") == connection.get_server_pid():
        return ok("The way to PostgreSQL has no pooler in it.")
    return wrong(
        "A pooler (PgBouncer) stands before PostgreSQL. Let REPLYCO_DATABASE_URL name PostgreSQL itself: locks, LISTEN and prepared statements "
        "belong to a session, and a pooler gives it to somebody else. Replyco keeps few connections: docs/operations/connections.md counts them.",
    )


async def _partitions(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    """A worker makes them three months ahead; what has none lies in the default partition and makes look-ups slow."""
    missing = await connection.fetch(
        "SELECT partitions_missing($1) AS name", datetime.now(UTC) + _PARTITIONS_AHEAD
    )
    if not missing:
        return ok("The tables have partitions for the coming weeks.")
    return wrong(
        f"The partitions for the coming weeks are missing ({', '.join(row['name'] for row in missing)}): no `worker` has run for "
        "months, or something keeps the tables locked. Start one and see its log for partitions_missing."
    )


async def _amazons_networks(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    """Known networks keep their places at the relay, and may send more, when strangers' mail takes them."""
    known = await connection.fetchval("SELECT count(*) FROM proven_networks")
    name_them = (
        "Name the ranges of Amazon's mail service in REPLYCO_TRUSTED_NETWORKS of the relay: `dig +short TXT amazonses.com` lists "
        "them as ip4:… (docs/operations/smtp.md, Limits)."
    )
    if known:
        return ok(f"Amazon's mail has come from {known} networks, which the relay knows. {name_them}")
    return note(
        f"No mail of Amazon's has come within a month, so the relay knows no network of Amazon's. {name_them}"
    )


async def _rights(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    """The connector must not be able to change the audit log: somebody who took it over could remove their traces."""
    if await connection.fetchval("SELECT has_table_privilege('audit_log', 'UPDATE, DELETE, TRUNCATE')"):
        return wrong(
            "The user of REPLYCO_DATABASE_URL may change the audit log. It is the owner of the tables or has too many rights; "
            "name the connector's own user."
        )
    return ok("The database user cannot change the audit log.")


async def _webhook_ports(
    connection: "asyncpg.Connection[asyncpg.Record]", allowed: Collection[int]
) -> list[Finding]:
    """Webhooks from before a port was closed."""
    closed = await connection.fetch(
        "SELECT port, count(*) FROM (SELECT coalesce(substring(url FROM '^https://[^/?]*:([0-9]+)[/?]')::int, 443) AS port "
        "FROM webhooks WHERE disabled_at IS NULL) each_webhook WHERE NOT port = ANY($1) GROUP BY port ORDER BY port",
        list(allowed),
    )
    return [
        warning(
            f"Webhooks at port {port} are sent nothing any more ({count} of them). Add the port to REPLYCO_OUTGOING_WEBHOOK_PORTS, or "
            "tell their accounts."
        )
        for port, count in closed
    ]


async def _client_secret(connection: "asyncpg.Connection[asyncpg.Record]", client_id: str) -> Finding:
    ends_at = await connection.fetchval(
        "SELECT greatest((SELECT max(expires_at) FROM application_secrets WHERE client_id = $1), "
        "(SELECT max(secret_ends_at) FROM application_notices WHERE client_id = $1))",
        client_id,
    )
    return end_of_client_secret(ends_at, datetime.now(UTC))


async def _notice_queue(settings: ConnectorSettings) -> list[Finding]:
    queue = open_notice_queue(settings)
    if queue is None:
        return []
    try:
        await queue.look()
    except AmazonUnavailable:
        return [
            wrong(
                "The queue of Amazon's notices cannot be reached. Is there a way out to REPLYCO_AMAZON_NOTICE_QUEUE_URL?"
            )
        ]
    except ClientMisconfigured as refused:
        return [
            wrong(
                f"The queue of Amazon's notices refuses us ({refused.fields['error']}). Do REPLYCO_AMAZON_NOTICE_QUEUE_URL and "
                "…_QUEUE_REGION name the queue, and may REPLYCO_AMAZON_NOTICE_ACCESS_KEY_ID read it (sqs:ReceiveMessage, "
                "sqs:DeleteMessage, sqs:GetQueueAttributes)?"
            )
        ]
    finally:
        await queue.close()
    return [ok("The queue of Amazon's notices can be read.")]


async def _blobs(settings: ConnectorSettings) -> Finding:
    """Large mail; a folder or bucket in which nothing lies yet is all right."""
    store = open_blobs(settings)
    try:
        await store.days()
    except BlobsUnavailable:
        return wrong(
            "The large mails at REPLYCO_BLOB_URL cannot be listed. Does it name the folder or bucket of the mail workers, "
            "and may this user read there?"
        )
    finally:
        store.close()
    return ok("The store of large mails can be read.")


async def _migrated(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    try:
        found = await connection.fetchval(FIND_REVISION)
    except TABLES_MISSING:
        found = None
    problem = schema_problem(found, packaged_revisions())
    if problem is not None:
        return wrong(problem[0].upper() + problem[1:])
    if found != packaged_revisions().head:
        return note("The tables are of a later version than this code, which goes on working with them.")
    return ok("The tables are up to date.")


async def _amazon_paused_at(settings: ConnectorSettings) -> datetime | None:
    """None also if nobody can say: `_database` has told why."""
    try:
        connection = await connect_driver(
            asyncpg_dsn(settings.database_url.get_secret_value()), timeout=5, command_timeout=5
        )
        try:
            paused_at: datetime | None = await connection.fetchval(
                "SELECT paused_at FROM amazon_pauses WHERE client_id = $1", settings.amazon_client_id
            )
        finally:
            connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError):
        return None
    return paused_at


async def _amazon(settings: ConnectorSettings) -> Finding:
    parts = urlsplit(settings.amazon_base_url or _AMAZON_TOKENS)
    tls = parts.scheme == "https"
    return await _reachable(parts.hostname or "", parts.port or (443 if tls else 80), tls=tls)


async def _reachable(host: str, port: int, *, tls: bool) -> Finding:
    """Only whether somebody listens there: no credential leaves this machine."""
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(host, port, ssl=tls or None)
    except (OSError, TimeoutError) as error:
        return wrong(
            f"{host}:{port} cannot be reached ({type(error).__name__}). Is there a way out to it, and is its name resolved?",
        )
    writer.close()
    return ok(f"{host}:{port} can be reached.")
