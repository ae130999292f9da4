"""What a worker has taken, opened: the mail as it arrived, and its envelope."""

import json
from dataclasses import dataclass, field
from typing import Any

from services.mailrelay.delivery.queue import Taken
from shared.blobs import Blob, blob_id_of
from shared.crypto.envelope import Sealed
from shared.crypto.raw_mail import ContentKey, MailPrivateKey

# The sealed mails that lie in the blob store.
Fetched = dict[Blob, Sealed]


@dataclass(frozen=True, slots=True)
class Opened:
    """An accepted mail in clear."""

    taken: Taken
    content_key: ContentKey
    raw: bytes = field(repr=False)

    def envelope(self) -> dict[str, Any]:
        """`mail_from`, `rcpt_to`, `helo` and `options`, as the relay was told. Raises SealBroken."""
        envelope: dict[str, Any] = json.loads(self.content_key.open("envelope", self.taken.envelope))
        return envelope


def open_mail(private_key: MailPrivateKey, taken: Taken, fetched: Fetched) -> Opened:
    """Raises SealBroken."""
    key = ContentKey.open_with(private_key, taken.account_id, taken.id, taken.content_key)
    if isinstance(taken.raw, Blob):
        raw = key.open_mail(fetched[taken.raw], blob_id_of(taken.raw.key))
    else:
        raw = key.open_mail(taken.raw, None)
    return Opened(taken, key, raw)
