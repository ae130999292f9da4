"""Statements that count what waits. Each is served by an index of what waits, and none counts further than somebody would read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# What is more is said as this number.
MOST_COUNTED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many wait, at most MOST_COUNTED, and the first of them for so long; None where none does."""

    count: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What fails now, by the code of its failure, and how often."""

    what: str
    code: str
    count: int


# Of each queue: since when a row waits. What is put off to a later time, or leased to a worker, does not wait.
_SINCE: Final[Mapping[str, str]] = {
    "mail": "SELECT next_attempt_at AS since FROM accepted_mail WHERE state = 'accepted' AND next_attempt_at <= now()",
    "mail_put_off": "SELECT accepted_at AS since FROM accepted_mail WHERE state = 'accepted' AND is_put_off",
    "mail_held": "SELECT accepted_at AS since FROM accepted_mail WHERE state = 'held'",
    "replies": "SELECT due_at AS since FROM outbound_messages WHERE state IN ('scheduled', 'queued', 'delayed') AND due_at <= now()",
    "events": "SELECT at AS since FROM events WHERE fanned_out_at IS NULL",
    # One that fails waits for its receiver, not for us.
    "webhook_deliveries": "SELECT next_attempt_at AS since FROM webhooks JOIN webhook_deliveries ON webhook_id = webhooks.id"
    " WHERE state = 'waiting' AND next_attempt_at <= now() AND disabled_at IS NULL AND failing_since IS NULL",
    "webhook_deliveries_of_failing": "SELECT event_at AS since FROM webhooks JOIN webhook_deliveries ON webhook_id = webhooks.id"
    " WHERE state = 'waiting' AND disabled_at IS NULL AND failing_since IS NOT NULL",
    "jobs": "SELECT due_at AS since FROM jobs WHERE held_at IS NULL AND due_at <= now() AND (leased_until IS NULL OR leased_until <= now())",
    "jobs_held": "SELECT held_at AS since FROM jobs WHERE held_at IS NOT NULL",
    "orders": "SELECT next_at AS since FROM order_syncs WHERE parked_at IS NULL AND next_at <= now()"
    " AND (claimed_until IS NULL OR claimed_until <= now())",
    # What a relay may still have accepted is waited for, an hour.
    "stores_to_erase": "SELECT removed_at + interval '1 hour' AS since FROM integrations WHERE erased_at IS NULL AND data_after_rest = 'delete'"
    " AND removed_at <= now() - interval '1 hour'",
    "accounts_to_erase": "SELECT erase_after AS since FROM accounts WHERE erase_after <= now() AND erased_at IS NULL",
}
QUEUES: Final = tuple(_SINCE)

_TROUBLES: Final = text("""
SELECT 'mail' AS what, coalesce(failure_code, 'unknown') AS code, count(*) AS times FROM (
    SELECT failure_code FROM accepted_mail WHERE state = 'accepted' AND is_put_off LIMIT :most
) AS put_off GROUP BY failure_code
UNION ALL
SELECT 'mail_held', coalesce(failure_code, 'unknown'), count(*) FROM (
    SELECT failure_code FROM accepted_mail WHERE state = 'held' LIMIT :most
) AS held GROUP BY failure_code
UNION ALL
SELECT 'job ' || kind, failure, count(*) FROM jobs WHERE held_at IS NOT NULL GROUP BY kind, failure
UNION ALL
SELECT 'orders', coalesce(failure, 'unknown'), count(*) FROM order_syncs WHERE failing_since IS NOT NULL AND parked_at IS NULL GROUP BY failure
UNION ALL
SELECT 'webhooks', coalesce(disabled_reason, 'failing'), count(*) FROM webhooks WHERE failing_since IS NOT NULL GROUP BY disabled_reason
UNION ALL
SELECT scope, code, 1 FROM service_troubles
ORDER BY times DESC, what, code
""")


async def read_waiting(session: AsyncSession, queue: str) -> Waiting:
    """How much waits in one of QUEUES, by the database's clock."""
    row = (
        await session.execute(
            text(
                "SELECT count(*) AS waiting, extract(epoch FROM now() - min(since)) AS age"  # noqa: S608 - our own words
                f" FROM ({_SINCE[queue]} LIMIT :most) AS rows"
            ),
            {"most": MOST_COUNTED},
        )
    ).one()
    return Waiting(row.waiting, None if row.age is None else max(0.0, float(row.age)))


async def read_troubles(session: AsyncSession) -> list[Trouble]:
    """What fails now, the most frequent first."""
    rows = await session.execute(_TROUBLES, {"most": MOST_COUNTED})
    return [Trouble(row.what, row.code, row.times) for row in rows]


async def read_schema_revision(session: AsyncSession) -> str | None:
    """The migration at which the database is."""
    revision: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
