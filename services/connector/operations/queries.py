"""Statements that count what waits. Each is served by an index of what waits, and none counts further than somebody would read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

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
    revision: str | None = await session.scalar(text(FIND_REVISION))
    return revision


# The mail by its primary key; its message among those of its account that came after it. A clock may be behind by some minutes.
_MAIL: Final = text("""
SELECT accepted_at, account_id, session_id, tls_version, size, state, lane, attempts, is_put_off, next_attempt_at, failure_code,
    blob_key IS NOT NULL AS is_blob
FROM accepted_mail WHERE id = :id
""")
_MESSAGE: Final = text("""
SELECT id, integration_id, conversation_id, kind, authenticity, authenticity_reason, failure_reason, parser_version, attachment_count FROM (
    SELECT id, integration_id, conversation_id, kind, authenticity, authenticity_reason, failure_reason, parser_version, attachment_count,
        accepted_mail_id
    FROM messages WHERE account_id = :account_id AND id > uuid_at(CAST(:accepted_at AS timestamptz) - interval '5 minutes')
    ORDER BY id LIMIT :most
) AS since WHERE accepted_mail_id = :id LIMIT 1
""")
_REPLIES: Final = text("""
SELECT id, state, attempts, failure, transport FROM outbound_messages
WHERE conversation_id = :conversation_id AND answers_message_id = :message_id ORDER BY id
""")
# Fan-out takes seconds; what it made later than a day after belongs to no mail's way.
_DELIVERIES: Final = text("""
SELECT delivery.id, delivery.kind, delivery.state, delivery.attempts, delivery.last_status, delivery.last_error
FROM webhooks CROSS JOIN LATERAL (
    SELECT id, kind, state, attempts, last_status, last_error, ids FROM webhook_deliveries
    WHERE webhook_id = webhooks.id AND id > uuid_at(CAST(:accepted_at AS timestamptz) - interval '5 minutes') ORDER BY id LIMIT :most
) AS delivery
WHERE webhooks.account_id = :account_id AND delivery.ids ->> 'message_id' = :message_id
ORDER BY delivery.id
""")


async def read_way_of_mail(
    session: AsyncSession, mail_id: UUID, *, most: int = MOST_COUNTED
) -> list[tuple[str, dict[str, object]]]:
    """What is known of an accepted mail, a step each, without anything personal; nothing if it is unknown. So many messages are looked through."""
    mail = (await session.execute(_MAIL, {"id": mail_id})).mappings().one_or_none()
    if mail is None:
        return []
    steps: list[tuple[str, dict[str, object]]] = [("accepted", dict(mail))]
    place = {"account_id": mail["account_id"], "accepted_at": mail["accepted_at"], "most": most}
    message = (await session.execute(_MESSAGE, {"id": mail_id, **place})).mappings().one_or_none()
    if message is None:
        return steps
    steps.append(("message", dict(message)))
    of_message = {"conversation_id": message["conversation_id"], "message_id": message["id"]}
    replies = await session.execute(_REPLIES, of_message)
    steps += [("reply", dict(row)) for row in replies.mappings()]
    deliveries = await session.execute(_DELIVERIES, {"message_id": str(message["id"]), **place})
    steps += [("webhook_delivery", dict(row)) for row in deliveries.mappings()]
    return steps
