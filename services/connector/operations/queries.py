"""The way of one mail, step by step. Each statement is served by an index, and none looks further than somebody would read."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.status.queries import MOST_COUNTED

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
