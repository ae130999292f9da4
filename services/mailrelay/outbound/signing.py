"""Signs a reply for the mail domain (DKIM: RFC 6376, RFC 8301).

Relaxed, so that blanks and folding may change on the way. Every field that a reader sees is signed, and each once more than it is there:
nobody can add a second one above it, nor a Reply-To. No `l=`, as text could then be added below; no `x=`, as a mail that waits in a queue
would expire there.
"""

import asyncio
from base64 import b64encode
from datetime import datetime
from typing import Final

from services.mailrelay.authenticity.canonical import SignedMail, digest_of
from services.mailrelay.outbound.composing import compose
from services.mailrelay.outbound.reply import Reply
from services.mailrelay.parsing.structure import Field
from shared.crypto.dkim_keys import DkimKeyFile

_SIGNED: Final = (
    "From", "Subject", "Date", "To", "Cc", "Reply-To", "Sender", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
_VALUE_LINE: Final = 72


async def signed_mail(reply: Reply, *, mail_domain: str, keys: DkimKeyFile | None, eight_bit: bool) -> bytes:
    """The mail of a reply (`compose`), signed if it comes from the mail domain and there is a key. Raises NotAnswerable.

    The store's own SMTP server signs for its own domain; a signature of ours would say nothing about that From.
    """
    # A signature takes half a millisecond, files of 10 MB a quarter of a second: others are not held up meanwhile.
    return await asyncio.to_thread(_signed_mail, reply, mail_domain, keys, eight_bit=eight_bit)


def _signed_mail(reply: Reply, mail_domain: str, keys: DkimKeyFile | None, *, eight_bit: bool) -> bytes:
    mail = compose(reply, mail_domain=mail_domain, eight_bit=eight_bit)
    if keys is None or reply.from_address.rpartition("@")[2].lower() != mail_domain.lower():
        return mail
    return sign(mail, domain=mail_domain.lower(), keys=keys, at=reply.sent_at)


def sign(mail: bytes, *, domain: str, keys: DkimKeyFile, at: datetime) -> bytes:
    """The mail with a DKIM-Signature above it, by the key that signs at present. The same values make the same bytes."""
    key, read = keys.current, SignedMail.read(mail)
    names = [name for name in _SIGNED for _ in range(len(read.named(name.lower())) + 1)]
    lines = [
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};",
        f" s={key.selector}; t={int(at.timestamp())};",
        *_header_list(names),
        f" bh={b64encode(read.body_hash('relaxed')[0]).decode()};",
        " b=",
    ]
    unsigned = "\r\n".join(lines).encode("ascii")
    own = Field("dkim-signature", unsigned.partition(b":")[2], unsigned)
    digest = digest_of(read.chosen(name.lower() for name in names), own, "relaxed")
    value = b64encode(key.sign(digest)).decode()
    pieces = [value[start : start + _VALUE_LINE] for start in range(0, len(value), _VALUE_LINE)]
    return unsigned + "\r\n ".join(pieces).encode("ascii") + b"\r\n" + mail


def _header_list(names: list[str]) -> list[str]:
    """`h=`, folded behind colons (RFC 6376 §3.5)."""
    lines = [" h="]
    for number, name in enumerate(names):
        entry = f"{name}:" if number < len(names) - 1 else f"{name};"
        if len(lines[-1]) + len(entry) > _VALUE_LINE:
            lines.append(" ")
        lines[-1] += entry
    return lines
