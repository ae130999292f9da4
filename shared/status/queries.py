"""Statements that count what waits and what fails. Each is served by an index of what waits, and none counts further than somebody would read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.schema_revision import FIND_REVISION

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

# Of each kind of trouble: what it is called and the code of its failure, a row for each time.
_FAILING: Final[Mapping[str, str]] = {
    "mail": "SELECT 'mail' AS what, failure_code AS code FROM accepted_mail WHERE state = 'accepted' AND is_put_off",
    "mail_held": "SELECT 'mail_held', failure_code FROM accepted_mail WHERE state = 'held'",
    "replies": "SELECT 'replies', failure FROM outbound_messages WHERE state = 'delayed'",
    "jobs": "SELECT 'job ' || kind, failure FROM jobs WHERE held_at IS NOT NULL",
    "orders": "SELECT 'orders', failure FROM order_syncs WHERE failing_since IS NOT NULL AND parked_at IS NULL",
    "webhooks": "SELECT 'webhooks', coalesce(disabled_reason, 'failing') FROM webhooks WHERE failing_since IS NOT NULL",
    "service": "SELECT scope, code FROM service_troubles",
}
# So many codes are told, the most frequent first.
_MOST_TOLD: Final = 200


@dataclass(frozen=True, slots=True)
class Scope:
    """Which queues and kinds of trouble a role tells: its database role may read no others."""

    queues: Sequence[str]
    troubles: Sequence[str]


EVERYTHING: Final = Scope(QUEUES, tuple(_FAILING))
# What the mail worker may read.
OF_MAIL: Final = Scope(("mail", "mail_put_off", "mail_held", "replies"), ("mail", "mail_held", "replies"))


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


async def read_troubles(session: AsyncSession, kinds: Sequence[str] = EVERYTHING.troubles) -> list[Trouble]:
    """What fails now, the most frequent first."""
    parts = " UNION ALL ".join(
        f"(SELECT what, coalesce(code, 'unknown') AS code, count(*) AS times FROM ({_FAILING[kind]} LIMIT :most) AS rows (what, code) GROUP BY 1, 2)"  # noqa: S608 - our own words
        for kind in kinds
    )
    rows = await session.execute(
        text(f"{parts} ORDER BY times DESC, what, code LIMIT :told"),
        {"most": MOST_COUNTED, "told": _MOST_TOLD},
    )
    return [Trouble(row.what, row.code, row.times) for row in rows]


async def read_schema_revision(session: AsyncSession) -> str | None:
    """The migration at which the database is."""
    revision: str | None = await session.scalar(text(FIND_REVISION))
    return revision
