"""Reads all that the replies of one claim need, in a few statements: the stores, the messages that they answer, their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.outbound.queue import Claim
from shared.blobs import Blob, sealed_or_blob
from shared.conversations import BUYER_MESSAGE
from shared.crypto.envelope import Sealed
from shared.database import Reader
from shared.tables import (
    AcceptedMail,
    Authenticity,
    Integration,
    RelayAddress,
    ReplyFile,
    Scan,
    SmtpConfiguration,
)

# The newest proven message of the buyer; in a later attempt, the one that the first has decided on. One that has left the table with its
# month, or the conversation with an agent's wish, is no reason not to answer the newest that is there.
_ANSWERED: Final = text(
    "SELECT claimed.reply_id, m.id, m.accepted_mail_id, m.raw_key, m.received_at, m.subject, m.sender_address, m.order_ids,"
    " m.authenticity_reason, m.authentication_results"
    " FROM unnest(CAST(:replies AS uuid[]), CAST(:conversations AS uuid[]), CAST(:decided AS uuid[]))"
    " AS claimed (reply_id, conversation_id, decided_id) JOIN conversations named ON named.id = claimed.conversation_id"
    # Merged since it was claimed, perhaps.
    " JOIN conversations c ON c.id = coalesce(named.merged_into, named.id) AND c.status <> 'quarantine'"
    " CROSS JOIN LATERAL (SELECT coalesce("
    "(SELECT d.id FROM messages d WHERE d.id = claimed.decided_id AND d.conversation_id = c.id),"
    " (SELECT n.id FROM messages n WHERE n.conversation_id = c.id AND n.kind = :buyer_message"
    " AND n.authenticity = :authentic ORDER BY n.id DESC LIMIT 1)) AS id) answered"
    " JOIN messages m ON m.id = answered.id"
)


class Store(NamedTuple):
    """The store that answers. Without a relay address it has no name yet."""

    local_part: str | None
    is_away: bool
    own: SmtpConfiguration | None


class Answered(NamedTuple):
    """The buyer's message that a reply answers, sealed; its raw mail may be gone."""

    id: UUID
    accepted_mail_id: UUID
    raw_key: Sealed
    received_at: datetime
    subject: Sealed | None
    sender_address: Sealed | None
    order_ids: Sequence[str]
    authenticity_reason: str | None
    authentication_results: Sealed | None
    raw: Sealed | Blob | None


class File(NamedTuple):
    """A file of a reply, sealed."""

    id: UUID
    filename: Sealed
    size: int
    scan: str | None
    content: Sealed | Blob


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a claimed reply just before it is sent."""

    store: Store | None
    answered: Answered | None
    files: Sequence[File]


async def read_facts(reader: Reader, claims: Sequence[Claim]) -> dict[UUID, Facts]:
    """The facts of each of these replies."""
    stores = await _stores(reader, {claim.reply.integration_id for claim in claims})
    answered = await _answered(reader, claims)
    files = await _files(reader, [claim.id for claim in claims])
    return {
        claim.id: Facts(
            stores.get(claim.reply.integration_id), answered.get(claim.id), files.get(claim.id, [])
        )
        for claim in claims
    }


async def store_scan(session: AsyncSession, file_id: UUID, scan: Scan) -> None:
    await session.execute(update(ReplyFile).where(ReplyFile.id == file_id).values(scan=scan.value))


async def _stores(reader: Reader, integration_ids: set[UUID]) -> dict[UUID, Store]:
    configuration = SmtpConfiguration
    rows = await reader.execute(
        select(
            Integration.id,
            RelayAddress.local_part,
            Integration.paused_at,
            Integration.disconnected_at,
            Integration.removed_at,
            configuration.integration_id.label("own_id"),
            configuration.host,
            configuration.port,
            configuration.tls_mode,
            configuration.username,
            configuration.password,
            configuration.sender_address,
        )
        .outerjoin(
            RelayAddress,
            (RelayAddress.integration_id == Integration.id) & RelayAddress.retired_at.is_(None),
        )
        .outerjoin(configuration, configuration.integration_id == Integration.id)
        .where(Integration.id.in_(integration_ids))
    )
    return {
        row.id: Store(
            row.local_part,
            any((row.paused_at, row.disconnected_at, row.removed_at)),
            None
            if row.own_id is None
            else SmtpConfiguration(
                integration_id=row.own_id,
                host=row.host,
                port=row.port,
                tls_mode=row.tls_mode,
                username=row.username,
                password=row.password,
                sender_address=row.sender_address,
            ),
        )
        for row in rows
    }


async def _answered(reader: Reader, claims: Sequence[Claim]) -> dict[UUID, Answered]:
    rows = (
        await reader.execute(
            _ANSWERED,
            {
                "replies": [claim.id for claim in claims],
                "conversations": [claim.reply.conversation_id for claim in claims],
                "decided": [
                    None if claim.first_attempt_at is None else claim.answers_message_id for claim in claims
                ],
                "buyer_message": BUYER_MESSAGE,
                "authentic": Authenticity.AUTHENTIC.value,
            },
        )
    ).all()
    raws = await reader.execute(
        select(AcceptedMail.id, AcceptedMail.raw, AcceptedMail.blob_key, AcceptedMail.blob_digest).where(
            AcceptedMail.id.in_([row.accepted_mail_id for row in rows])
        )
    )
    stored = {row.id: sealed_or_blob(row.raw, row.blob_key, row.blob_digest) for row in raws}

    def sealed(value: bytes | None) -> Sealed | None:
        return None if value is None else Sealed(bytes(value))

    return {
        row.reply_id: Answered(
            id=row.id,
            accepted_mail_id=row.accepted_mail_id,
            raw_key=Sealed(bytes(row.raw_key)),
            received_at=row.received_at,
            subject=sealed(row.subject),
            sender_address=sealed(row.sender_address),
            order_ids=row.order_ids,
            authenticity_reason=row.authenticity_reason,
            authentication_results=sealed(row.authentication_results),
            raw=stored.get(row.accepted_mail_id),
        )
        for row in rows
    }


async def _files(reader: Reader, reply_ids: Sequence[UUID]) -> dict[UUID, list[File]]:
    rows = await reader.execute(
        select(
            ReplyFile.outbound_message_id,
            ReplyFile.id,
            ReplyFile.filename,
            ReplyFile.size,
            ReplyFile.scan,
            ReplyFile.content,
            ReplyFile.blob_key,
            ReplyFile.blob_digest,
        )
        .where(ReplyFile.outbound_message_id.in_(reply_ids))
        .order_by(ReplyFile.outbound_message_id, ReplyFile.position, ReplyFile.id)
    )
    files: dict[UUID, list[File]] = {}
    for row in rows:
        content = sealed_or_blob(row.content, row.blob_key, row.blob_digest)
        files.setdefault(row.outbound_message_id, []).append(
            File(row.id, row.filename, row.size, row.scan, content)
        )
    return files
