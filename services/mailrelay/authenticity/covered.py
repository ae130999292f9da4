"""What a signature covers, and the mail reduced to it: what nobody has signed changes nothing that an agent sees."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from services.mailrelay.authenticity.canonical import canonical_field
from services.mailrelay.parsing.mailboxes import Mailbox, read_mailboxes
from services.mailrelay.parsing.structure import Field, Header, end_of_header
from services.mailrelay.parsing.unsigned_encoding import transfer_encoding_of

_ENCODING: Final = "content-transfer-encoding"
_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Covered:
    """The part of a mail that a signature covers: some fields of its header, and the whole body.

    `names` are the names of fields that it lists: of these, what the mail does not have was not there when it was signed.
    """

    names: frozenset[str]
    fields: tuple[Field, ...] = field(repr=False)
    body_hash: bytes

    @property
    def identity(self) -> bytes:
        """Equal for copies of one mail, whatever was added to them on their way, whether or not the signature is valid."""
        digest = hashlib.sha256(b"signed\0")
        for line in sorted(canonical_field(item, "relaxed") for item in self.fields):
            digest.update(line)
        digest.update(self.body_hash)
        return digest.digest()

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """Whom To and Cc name. One that cannot be read for certain names nobody."""
        header = Header(list(self.fields))
        values = (value for name in ("to", "cc") for value in header.all_raw(name))
        return tuple(box for value in values for box in read_mailboxes(value))

    def alone_in(self, raw: bytes) -> bytes:
        """The mail with nothing but this. How its body is encoded, where that is not signed, the body itself tells."""
        _, body_start = end_of_header(raw, 0, len(raw))
        body = memoryview(raw)[body_start:]
        lines = [item.raw.removesuffix(b"\r") + _END for item in self.fields]
        if _ENCODING not in self.names:
            encoding = transfer_encoding_of(Header(list(self.fields)), body)
            lines += [] if encoding is None else [f"Content-Transfer-Encoding: {encoding}".encode() + _END]
        return b"".join([*lines, _END, body])
