"""A queued mail in clear: its bytes as they arrived, and the envelope with which the relay was given it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from services.mailrelay.delivery.queue import QueuedMail
from shared.blobs import Blob, blob_id_of
from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey, MailPrivateKey

# The sealed mails that lie in the blob store, by where they lie there.
FetchedBlobs = dict[Blob, Sealed]


class Envelope(TypedDict):
    """What the sending server said of a mail: MAIL FROM (empty for a bounce), RCPT TO, and the name in HELO or EHLO."""

    mail_from: str
    rcpt_to: str
    helo: str | None


@dataclass(frozen=True, slots=True)
class UnsealedMail:
    """A queued mail in clear, with the key that opened it."""

    queued: QueuedMail
    content_key: ContentKey
    raw: bytes = field(repr=False)

    def envelope(self) -> Envelope:
        """The envelope, opened. Raises SealBroken."""
        envelope: Envelope = json.loads(self.content_key.open("envelope", self.queued.envelope))
        return envelope


def unseal(
    private_keys: Mapping[str, MailPrivateKey], queued: QueuedMail, fetched: FetchedBlobs
) -> UnsealedMail:
    """Open a mail with the private key that it is sealed to. Raises SealBroken."""
    private_key = private_keys.get(queued.mail_key_id)
    if private_key is None:
        # Taken away just now: nothing is wrong with the mail.
        raise SealBroken(table="mail_key")
    key = ContentKey.open_with(private_key, queued.account_id, queued.id, queued.content_key)
    if isinstance(queued.raw, Blob):
        raw = key.open_mail(fetched[queued.raw], blob_id_of(queued.raw.key))
    else:
        raw = key.open_mail(queued.raw, None)
    return UnsealedMail(queued, key, raw)
