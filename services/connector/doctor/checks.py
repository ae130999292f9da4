"""What `doctor` looks at, and how it says what is wrong. It changes nothing and shows no value of a secret."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured
from services.connector.amazon.notice_queue import open_notice_queue
from services.connector.doctor.findings import end_of_client_secret, settings_findings
from services.connector.settings import ConnectorSettings
from shared.crypto.key_source import KeySource
from shared.doctor.blob_store import blob_findings
from shared.doctor.database import Rights, database_findings
from shared.doctor.findings import Finding, note, ok, unsafe_findings, warning, wrong
from shared.doctor.keys import key_source, opens_keys_of
from shared.doctor.network import reachable
from shared.driver import asyncpg_dsn, connect_driver

if TYPE_CHECKING:
    from shared.doctor.database import Connection

_PARTITIONS_AHEAD: Final = timedelta(days=28)
_AMAZON_TOKENS: Final = "https://api.amazon.com"
_CHANGES_AUDIT_LOG: Final = "may change the audit log"
_RIGHTS: Final = Rights(
    "replyco_connector",
    needed=(("grants", "UPDATE"), ("audit_log", "INSERT"), ("messages", "SELECT")),
    # Somebody who took it over could remove their traces, or write what no buyer wrote.
    forbidden=(
        ("audit_log", "UPDATE", _CHANGES_AUDIT_LOG),
        ("audit_log", "DELETE", _CHANGES_AUDIT_LOG),
        ("audit_log", "TRUNCATE", _CHANGES_AUDIT_LOG),
        ("messages", "INSERT", "may write messages"),
    ),
)


async def examine(settings: ConnectorSettings) -> list[Finding]:
    """Everything that `serve` and `worker` need, in the order in which one would repair it."""
    findings = [ok("The settings are complete."), *unsafe_findings(settings), *settings_findings(settings)]
    keys, finding = key_source(settings)
    findings += [
        finding,
        *await _database(settings, keys),
        *await blob_findings(settings, in_development=settings.development),
    ]
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
        findings.append(await reachable(settings.notice_smtp_host, settings.notice_smtp_port, tls=tls))
    return findings


async def _database(settings: ConnectorSettings, keys: KeySource | None) -> list[Finding]:
    url = settings.database_url.get_secret_value()

    async def of_tables(connection: "Connection") -> list[Finding]:
        findings = [
            await _partitions(connection),
            await _amazons_networks(connection),
            await _client_secret(connection, settings.amazon_client_id),
            *await _webhook_ports(connection, settings.webhook_ports),
        ]
        account_id = await connection.fetchval("SELECT id FROM accounts ORDER BY id DESC LIMIT 1")
        if keys is not None and account_id is not None:
            findings.append(await opens_keys_of(url, keys, account_id))
        return findings

    return await database_findings(url, _RIGHTS, of_tables)


async def _partitions(connection: "Connection") -> Finding:
    """A worker makes them three months ahead; what has none lies in the default partition and makes look-ups slow."""
    missing = await connection.fetch("SELECT partitions_missing(now() + $1) AS name", _PARTITIONS_AHEAD)
    if not missing:
        return ok("The tables have partitions for the coming weeks.")
    return wrong(
        f"The partitions for the coming weeks are missing ({', '.join(row['name'] for row in missing)}): no `worker` has run for "
        "months, or something keeps the tables locked. Start one and see its log for partitions_missing."
    )


async def _amazons_networks(connection: "Connection") -> Finding:
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


async def _webhook_ports(connection: "Connection", allowed: Collection[int]) -> list[Finding]:
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


async def _client_secret(connection: "Connection", client_id: str) -> Finding:
    known = await connection.fetchrow(
        "SELECT greatest((SELECT max(expires_at) FROM application_secrets WHERE client_id = $1), "
        "(SELECT max(secret_ends_at) FROM application_notices WHERE client_id = $1)) AS ends_at, now() AS now",
        client_id,
    )
    assert known is not None
    return end_of_client_secret(known["ends_at"], known["now"])


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
    return await reachable(parts.hostname or "", parts.port or (443 if tls else 80), tls=tls)
