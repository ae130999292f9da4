"""What is left of a removed store whose owner wants its data gone: conversations, messages, attachments, replies, mail, orders and blobs.

In small transactions that may be cut off anywhere: what is not deleted yet is found again. A store that cannot be erased now (the
blob store is away, a statement takes too long) holds up no other one. The integration and its address stay, because an address is never given out twice; the
audit log stays, too.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, delete, select, tuple_, update

from services.connector.privacy import deletion, ended_orders
from services.connector.privacy.deletion_watch import GoOn, always
from shared.blobs import BlobStore
from shared.database import Sessions, database_answers, each_id, is_unavailable
from shared.errors import Expected
from shared.tables import (
    AcceptedMail,
    AfterGracePeriod,
    Conversation,
    ForwardedMailbox,
    Integration,
    MessageDigest,
    RelayAddress,
)

log = structlog.get_logger()

# What a relay accepted in the last moment, not knowing yet, is in the tables by then.
WAIT: Final = timedelta(hours=1)
_BATCH: Final = 500
# Of a store that is erased, whatever it has.
_WHENEVER: Final = datetime.max.replace(tzinfo=UTC)


class ErasureIncomplete(Exception):
    """Some stores could not be erased. What is left of them is found again the next time."""

    def __init__(self, *, erased: int, left: int) -> None:
        super().__init__()
        self.erased = erased
        self.left = left


async def erase_removed(sessions: Sessions, blobs: BlobStore, now: datetime, go_on: GoOn = always) -> int:
    """Delete the data of every store that is due, and return how many these were.

    Raises ErasureIncomplete if some could not be erased: after all the others. And what `go_on` raises, which is asked before each.
    """
    erased = left = 0
    async for integration_id in each_id(sessions, _due(now)):
        await go_on()
        try:
            await erase_store(sessions, blobs, integration_id, now)
        except Expected as failure:
            log.warning("erasure_put_off", integration_id=str(integration_id), code=failure.code)
            left += 1
        except Exception as error:
            # A statement that takes too long looks like a database that is away; only the latter concerns the stores behind.
            if is_unavailable(error) and not await database_answers(sessions):
                raise
            log.exception("erasure_failed", integration_id=str(integration_id))
            left += 1
        else:
            erased += 1
            log.info("integration_erased", integration_id=str(integration_id))
    if left:
        raise ErasureIncomplete(erased=erased, left=left)
    return erased


def _due(now: datetime) -> Select[UUID]:
    return select(Integration.id).where(
        Integration.removed_at <= now - WAIT,
        Integration.data_after_rest == AfterGracePeriod.DELETE,
        Integration.erased_at.is_(None),
    )


async def erase_store(sessions: Sessions, blobs: BlobStore, integration_id: UUID, now: datetime) -> None:
    """Delete the data of a removed store. Raises BlobsUnavailable; then what is left is found again."""
    # Mail first: what still waits could become a message behind the one that was deleted last.
    await deletion.delete_mail(sessions, blobs, await _addresses(sessions, integration_id))
    await _erase_conversations(sessions, blobs, integration_id)
    await _erase_digests(sessions, integration_id)
    await ended_orders.delete_all_of(sessions, integration_id, now)
    async with sessions.begin() as session:
        await session.execute(
            delete(ForwardedMailbox).where(ForwardedMailbox.integration_id == integration_id)
        )
        await session.execute(
            update(Integration).where(Integration.id == integration_id).values(erased_at=now)
        )


async def _erase_conversations(sessions: Sessions, blobs: BlobStore, integration_id: UUID) -> None:
    """Some conversations at a time, each with all that it has. Where it was cut off there is nothing to look through again."""
    statement = select(Conversation.id).where(Conversation.integration_id == integration_id).limit(_BATCH)
    while True:
        async with sessions.begin() as session:
            found = (await session.scalars(statement)).all()
        if not found:
            return
        await deletion.delete_conversations(sessions, blobs, found, before=_WHENEVER)


async def _addresses(sessions: Sessions, integration_id: UUID) -> ColumnElement[bool]:
    """That a mail was sent to one of the store's addresses."""
    async with sessions.begin() as session:
        statement = select(RelayAddress.id).where(RelayAddress.integration_id == integration_id)
        return AcceptedMail.relay_address_id.in_((await session.scalars(statement)).all())


async def _erase_digests(sessions: Sessions, integration_id: UUID) -> None:
    addresses = select(RelayAddress.id).where(RelayAddress.integration_id == integration_id)
    key = tuple_(MessageDigest.relay_address_id, MessageDigest.digest)
    digests = select(MessageDigest.relay_address_id, MessageDigest.digest).where(
        MessageDigest.relay_address_id.in_(addresses)
    )
    while True:
        async with sessions.begin() as session:
            found = (await session.execute(digests.limit(_BATCH))).all()
            await session.execute(delete(MessageDigest).where(key.in_([tuple(row) for row in found])))
        if not found:
            break
