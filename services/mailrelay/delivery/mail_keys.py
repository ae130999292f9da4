"""Whether a mail key is still needed: by mail that waits, or by a relay that has not changed over."""

from datetime import timedelta
from typing import Final

from sqlalchemy import text

from shared.database import Sessions

# A relay whose file was forgotten shows within a day that some mail came.
_UNUSED_FOR: Final = timedelta(days=1)
# By indexes which know only what is not delivered. A delivered mail has its content key on its message, but for one whose proof is tried
# again: it is delivered once more, from its row.
_WAITING: Final = text("""
    SELECT count(*) FROM (
        SELECT id FROM accepted_mail WHERE state = 'accepted' AND mail_key_id = :key_id
        UNION ALL SELECT id FROM accepted_mail WHERE state IN ('resting', 'held') AND mail_key_id = :key_id
        UNION ALL SELECT accepted_mail.id FROM messages JOIN accepted_mail ON accepted_mail.id = messages.accepted_mail_id
            WHERE messages.recheck_at IS NOT NULL AND accepted_mail.mail_key_id = :key_id AND accepted_mail.state = 'delivered'
    ) AS waiting""")
_LAST: Final = text("""
    SELECT max(accepted_at) FROM accepted_mail
    WHERE id >= uuid_at(now() - CAST(:unused_for AS interval)) AND mail_key_id = :key_id""")


async def why_needed(sessions: Sessions, key_id: str, *, unused_for: timedelta = _UNUSED_FOR) -> str | None:
    """The sentence that says why a key cannot go yet; None if it can."""
    async with sessions.begin() as session:
        waiting = await session.scalar(_WAITING, {"key_id": key_id})
        last = await session.scalar(_LAST, {"key_id": key_id, "unused_for": unused_for})
    if waiting:
        return (
            f"mail that is sealed to {key_id} waits to be opened ({waiting}). Stores in their grace period and mail that is held keep it needed: "
            "`python -m services.mailrelay reprocess --held` tries the latter again."
        )
    if last is not None:
        return (
            f"mail was sealed to {key_id} within the last day, at {last:%Y-%m-%d %H:%M}Z. If all relays have the new public key, run this "
            "again when a day has passed since."
        )
    return None
