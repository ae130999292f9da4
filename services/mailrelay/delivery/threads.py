"""Which conversation a mail belongs to. Pure.

Amazon's mails form no thread of their own (each is a fresh mail), so the conversation is: this buyer, this order. A guess
that joins two buyers would show one's words to whoever answers the other, so where nothing is certain a mail stays alone.
"""

from dataclasses import dataclass

from services.mailrelay.parsing.mail import MailKind, ParsedMail

# The address that all orders of Amazon Business share: it tells nobody apart.
_SHARED_BUYERS = frozenset({"no-reply-amazon-iba-buyer"})
# Notices about one order: they stand together with the others about it.
_ABOUT_ONE_ORDER = frozenset({MailKind.CLAIM_NOTICE, MailKind.RETURN_NOTICE})


@dataclass(frozen=True, slots=True)
class Thread:
    """`name` is equal for mails of one conversation within an integration; it holds addresses, so only its hash is stored."""

    name: str
    order_id: str | None
    buyer_address: str | None


def thread_of(mail: ParsedMail) -> Thread:
    """The conversation's thread, by the surest sign that the mail has."""
    order_id = mail.order_ids[0] if mail.order_ids else None
    if mail.buyer_address is not None:
        return _thread_of_buyer(mail, mail.buyer_address, order_id)
    if mail.kind is MailKind.UNPARSEABLE:
        return Thread(f"alone {mail.digest.hex()}", None, None)
    if mail.kind in _ABOUT_ONE_ORDER and order_id is not None:
        return Thread(f"notice {mail.kind} order {order_id}", order_id, None)
    return Thread(f"sender {mail.kind} {(mail.sender_address or '').lower()}", None, None)


def _thread_of_buyer(mail: ParsedMail, buyer_address: str, order_id: str | None) -> Thread:
    buyer = None if buyer_address.partition("@")[0] in _SHARED_BUYERS else buyer_address
    if order_id is not None:
        return Thread(f"buyer {buyer_address} order {order_id}", order_id, buyer)
    if mail.thread_tag is not None:
        return Thread(f"buyer {buyer_address} tag {mail.thread_tag}", None, buyer)
    return Thread(f"alone {mail.digest.hex()}", None, buyer)
