"""What a reply needs of the buyer's mail that it answers, from its raw header. Pure.

The answer goes to the address that the mail names, with Amazon's tag as it stands there; of From and Reply-To, that with a tag.
"""

from dataclasses import dataclass, field

from services.mailrelay.parsing.mailboxes import read_mailboxes
from services.mailrelay.parsing.patterns import WORDING
from services.mailrelay.parsing.recognition import find_buyer
from services.mailrelay.parsing.structure import Header, read_head


@dataclass(frozen=True, slots=True)
class AnsweredMail:
    """The thread's ids, and where the buyer is reached. What is no message id among the references is left to the composer."""

    message_id: str | None = field(default=None, repr=False)
    references: tuple[str, ...] = field(default=(), repr=False)
    buyer_address: str | None = field(default=None, repr=False)


def read_answered_mail(raw: bytes) -> AnsweredMail:
    """`raw` holds only what is believed of the mail (`delivery.authentication.readable_as_decided`)."""
    header = Header(read_head(raw).fields)
    ids = (header.raw("message-id") or "").split()
    return AnsweredMail(
        message_id=ids[0] if len(ids) == 1 else None,
        references=tuple((header.raw("references") or header.raw("in-reply-to") or "").split()),
        buyer_address=_buyer_address(header),
    )


def buyer_in(address: str | None) -> str | None:
    """The address, if it is a buyer's."""
    boxes = read_mailboxes(address or "")
    return address if len(boxes) == 1 and find_buyer(boxes[0], None, WORDING) is not None else None


def _buyer_address(header: Header) -> str | None:
    named = [
        boxes[0]
        for name in ("from", "reply-to")
        if header.count(name) == 1 and len(boxes := read_mailboxes(header.raw(name) or "")) == 1
    ]
    # The address without its tag says whether both name the same buyer.
    buyers = [(box, buyer.address) for box in named if (buyer := find_buyer(box, None, WORDING)) is not None]
    if not buyers:
        return None
    first, whose = buyers[0]
    with_tag = (box.address for box, buyer in buyers if buyer == whose and "+" in box.local)
    return next(with_tag, first.address)
