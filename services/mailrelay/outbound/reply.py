"""What a reply is before it is a mail, and how it is recognised when it comes back. Pure."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.errors import Expected

_MAX_ADDRESS: Final = 254
# A dot-atom at a host name (RFC 5321 §4.1.2): no quotes, no blanks, nothing that has a meaning in a command or a header. Amazon's
# addresses are such, and so are ours.
_ADDRESS: Final = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)


class NotAnswerable(Expected):
    """The conversation has no address that a mail can be sent to, or there is none to send it from.

    `fields["address"]` says which: `from` or `to`. Addresses beyond ASCII (SMTPUTF8) are refused, too: Amazon has none.
    """

    code = "not_answerable"


@dataclass(frozen=True, slots=True)
class ReplyFile:
    """A file of a reply. What it is, its bytes say (`file_types`), not whoever chose it."""

    name: str = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent for one row of `outbound_messages`, in one of its rounds.

    `round_number`: which of an agent's wishes to send it this is, from 1.
    `from_address`: the relay address, or the verified sender of the store's own SMTP server; the envelope's sender is exactly the same.
    `to_address`: the newest buyer address of the conversation with Amazon's tag (`…+tag@marketplace.amazon.de`), as the buyer's mail has it.
    `subject`: that of the buyer's newest mail, as it was parsed; without the `Re:`, or with any number of them.
    `order_id`: the conversation's newest order; a subject that does not name it gets it.
    `in_reply_to`, `references`: what the buyer's newest mail has as Message-ID and References. What is no message id is left out.
    `sent_at`: with a time zone. Two composings with the same values are the same bytes.
    `has_html`: whether the same words are sent as HTML, too.
    """

    outbound_message_id: UUID
    from_address: str = field(repr=False)
    to_address: str = field(repr=False)
    subject: str = field(repr=False)
    order_id: str | None
    text: str = field(repr=False)
    sent_at: datetime
    files: tuple[ReplyFile, ...] = field(default=(), repr=False)
    in_reply_to: str | None = field(default=None, repr=False)
    references: tuple[str, ...] = field(default=(), repr=False)
    has_html: bool = False
    round_number: int = 1


def require_answerable(reply: Reply) -> None:
    """Raises NotAnswerable if one of the two addresses is none that a mail can carry."""
    for which, address in (("from", reply.from_address), ("to", reply.to_address)):
        if len(address) > _MAX_ADDRESS or _ADDRESS.fullmatch(address) is None:
            raise NotAnswerable(address=which)


def message_id_of(outbound_message_id: UUID, round_number: int, mail_domain: str) -> str:
    """The Message-ID under which a reply is sent: whatever names it comes back for this reply, in this round.

    Attempts of one round share it, so that a server that gets a mail twice may know it; an agent's wish to send it again makes another one.
    """
    return f"<{outbound_message_id.hex}.{round_number}@{mail_domain.lower()}>"


class NamedReply(NamedTuple):
    """A reply of ours that a text names, and the round of it. Whether there is such a row, and whose it is, the caller looks up."""

    outbound_message_id: UUID
    round_number: int


_NAMED: Final = re.compile(r"(?<![a-z0-9.])([0-9a-f]{32})\.([1-9][0-9]{0,5})@", re.IGNORECASE)


def reply_named_in(text: str) -> NamedReply | None:
    """The first reply that a text names by its Message-ID: In-Reply-To, References, or a part of a returned mail.

    Angle brackets and case may have changed on the way, and the mail domain since the reply was sent.
    """
    found = _NAMED.search(text)
    return NamedReply(UUID(found.group(1)), int(found.group(2))) if found is not None else None
