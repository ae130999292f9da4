"""A mail that has arrived becomes rows, one for each recipient, appended to the journal.

A mail for one recipient is sealed for its row; a large one lies in the blob store. A mail for several is sealed once and lies
in the blob store once, whatever its size; each recipient's row has the key to it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from uuid import UUID

from services.mailrelay.intake.journal import AcceptedRow, Journal
from services.mailrelay.intake.lanes import lane_of
from services.mailrelay.intake.recipients import Recipient
from shared.blobs import Blob, BlobStore
from shared.crypto.envelope import Sealed
from shared.crypto.raw_mail import ContentKey
from shared.driver import new_id

# AES-GCM does 1 MB in 0.2 ms; beyond this a thread is cheaper than holding up the other sessions.
_SEAL_IN_THREAD_BYTES: Final = 4_194_304


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail came from, and how its sender was named."""

    session_id: str
    peer_address: IPv4Address | IPv6Address
    helo: str
    # The path of MAIL, empty for the null sender `<>`, and its parameters as they were given.
    sender: str
    mail_options: tuple[str, ...]
    tls_version: str | None
    # Mail of Amazon's comes from there: an operator has said so, or it was proven.
    is_known_network: bool = False


async def store_mail(
    content: bytes,
    recipients: Mapping[Recipient, str],
    origin: Origin,
    *,
    journal: Journal,
    blobs: BlobStore,
    inline_limit_bytes: int,
) -> list[UUID]:
    """Store the mail for every recipient, in one transaction, and return the ids of its rows once it is committed.

    Raises what `Journal.append` and `BlobStore.put` raise.
    """
    if len(recipients) == 1:
        [(recipient, address)] = recipients.items()
        key = ContentKey.new(recipient.account_id, new_id())
        raw, blob = await _stored(key, content, blobs, inline_limit_bytes)
        rows = [(key, _row(key, recipient, address, origin, size=len(content), raw=raw, blob=blob))]
    else:
        rows = await _rows_for_several(content, recipients, origin, blobs)
    await journal.append(rows)
    return [row.id for _, row in rows]


async def _stored(
    key: ContentKey, content: bytes, blobs: BlobStore, inline_limit_bytes: int
) -> tuple[bytes | None, Blob | None]:
    """The sealed mail for its row, or the blob that it lies in."""
    sealed = await _seal_off_loop(len(content), lambda: key.seal("raw", content))
    if len(sealed.ciphertext) <= inline_limit_bytes:
        return sealed.ciphertext, None
    return None, await blobs.put(key.accepted_mail_id, sealed.ciphertext)


async def _rows_for_several(
    content: bytes,
    recipients: Mapping[Recipient, str],
    origin: Origin,
    blobs: BlobStore,
) -> list[tuple[ContentKey, AcceptedRow]]:
    keys = _keys_of_copies([recipient.account_id for recipient in recipients])
    blob_id = new_id()
    sealed = await _seal_off_loop(len(content), lambda: keys[0].seal_shared(blob_id, content))
    blob = await blobs.put(blob_id, sealed.ciphertext)
    return [
        (key, _row(key, recipient, address, origin, size=len(content), raw=None, blob=blob))
        for key, (recipient, address) in zip(keys, recipients.items(), strict=True)
    ]


def _keys_of_copies(account_ids: list[UUID]) -> list[ContentKey]:
    first = ContentKey.new(account_ids[0], new_id())
    return [first, *(first.of_copy(account_id, new_id()) for account_id in account_ids[1:])]


async def _seal_off_loop(size: int, seal: Callable[[], Sealed]) -> Sealed:
    return await asyncio.to_thread(seal) if size >= _SEAL_IN_THREAD_BYTES else seal()


def _row(
    key: ContentKey,
    recipient: Recipient,
    address: str,
    origin: Origin,
    *,
    size: int,
    raw: bytes | None,
    blob: Blob | None,
) -> AcceptedRow:
    """The row of a copy, whose mail is in it or in the blob store."""
    lane = lane_of(
        origin.sender,
        is_from_known_network=origin.is_known_network,
        is_in_blob_store=blob is not None,
    )
    envelope = {
        "mail_from": origin.sender,
        "rcpt_to": address,
        "helo": origin.helo,
        "options": list(origin.mail_options),
    }
    return AcceptedRow(
        id=key.accepted_mail_id,
        account_id=recipient.account_id,
        relay_address_id=recipient.relay_address_id,
        session_id=origin.session_id,
        peer_address=origin.peer_address,
        tls_version=origin.tls_version,
        size=size,
        envelope=key.seal("envelope", json.dumps(envelope).encode()).ciphertext,
        raw=raw,
        blob_key=None if blob is None else blob.key,
        blob_digest=None if blob is None else blob.digest,
        lane=lane.value,
    )
