"""A mail that has arrived becomes rows: a copy for each recipient, sealed by itself, and appended to the journal."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from services.mailrelay.commands import MailCommand
from services.mailrelay.journal import AcceptedRow, Journal
from services.mailrelay.recipients import Recipient
from shared.blobs import BlobStore
from shared.crypto.raw_mail import ContentKey, MailPublicKey
from shared.database import new_id

# AES-GCM does 1 MB in 0.2 ms; beyond this a thread is cheaper than holding up the other sessions.
_SEAL_IN_THREAD_BYTES: Final = 4_194_304
# So many bytes of copies are held at a time.
_COPIES_BYTES: Final = 8_388_608


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail came from."""

    session_id: str
    peer_address: IPv4Address | IPv6Address
    helo: str
    mail: MailCommand
    tls_version: str | None


async def store(
    content: bytes,
    recipients: Mapping[Recipient, str],
    origin: Origin,
    *,
    mail_key: MailPublicKey,
    journal: Journal,
    blobs: BlobStore,
    inline_limit_bytes: int,
) -> str:
    """All copies are committed when this returns; the id of the first. Raises what `Journal.append` and `BlobStore.put` raise.

    Copies of a large mail go one after the other. When a later one fails the sender repeats the whole mail, and the
    worker recognises those it has.
    """
    copies = list(recipients.items())
    at_once = max(1, _COPIES_BYTES // max(1, len(content)))
    first_id = ""
    for begin in range(0, len(copies), at_once):
        rows = []
        for recipient, address in copies[begin : begin + at_once]:
            if len(content) >= _SEAL_IN_THREAD_BYTES:
                row = await asyncio.to_thread(_seal, content, recipient, address, origin, mail_key)
            else:
                row = _seal(content, recipient, address, origin, mail_key)
            rows.append(row)
        rows = await asyncio.gather(*(_take_out(row, blobs, inline_limit_bytes) for row in rows))
        first_id = first_id or str(rows[0].id)
        await journal.append(rows)
    return first_id


async def _take_out(row: AcceptedRow, blobs: BlobStore, inline_limit_bytes: int) -> AcceptedRow:
    """A row with a large mail names a blob in its place, which is durable from here on."""
    if row.raw is None or len(row.raw) <= inline_limit_bytes:
        return row
    blob = await blobs.put(row.id, row.raw)
    return row._replace(raw=None, blob_key=blob.key, blob_digest=blob.digest)


def _seal(
    content: bytes, recipient: Recipient, address: str, origin: Origin, mail_key: MailPublicKey
) -> AcceptedRow:
    accepted_mail_id = new_id()
    key = ContentKey.new(recipient.account_id, accepted_mail_id)
    envelope = {
        "mail_from": origin.mail.address,
        "rcpt_to": address,
        "helo": origin.helo,
        "options": list(origin.mail.options),
    }
    return AcceptedRow(
        id=accepted_mail_id,
        account_id=recipient.account_id,
        relay_address_id=recipient.relay_address_id,
        session_id=origin.session_id,
        peer_address=origin.peer_address,
        tls_version=origin.tls_version,
        size=len(content),
        mail_key_id=mail_key.key_id,
        content_key=key.seal_to(mail_key),
        envelope=key.seal("envelope", json.dumps(envelope).encode()).ciphertext,
        raw=key.seal("raw", content).ciphertext,
    )
