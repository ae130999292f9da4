"""Which threads a mail has: the signs by which it joins a conversation, the surest first. Pure.

Amazon's mails form no thread of their own: each is a fresh mail. So one conversation is: one buyer and one order, or one buyer and
one product before there is an order; and Amazon's own tag and id of the thread, where a mail has them, are the surest signs. A mail goes
where its surest thread leads that leads anywhere (shared.conversations.follow_threads), and makes its other ones lead there. A
guess that joins two buyers would show one's words to whoever answers the other, so every sign holds for one buyer alone, and a
mail without one stays alone. docs/mail.md tells it with examples.
"""

from services.mailrelay.parsing.mail import MailKind, ParsedMail
from shared.addresses import own_buyer_address
from shared.conversations import ABOUT_ONE_ORDER

_REPORTS = frozenset({MailKind.DELIVERY_FAILURE, MailKind.REPLY_CONFIRMATION})


def threads_of(mail: ParsedMail) -> tuple[str, ...]:
    """Names that are equal for mails of one thread within an integration. They hold addresses: only their hashes are stored.

    None: the mail stays alone.
    """
    if mail.buyer_address is not None:
        return _threads_of_buyer(mail, mail.buyer_address)
    if mail.kind in _REPORTS:
        # Those that name no reply of ours: together, whoever they say they are from.
        return (f"reports {mail.kind}",)
    order_id = order_of(mail)
    if order_id is not None:
        return (f"notice {mail.kind} order {order_id}",)
    if mail.kind is MailKind.UNPARSEABLE or mail.sender_address is None:
        return ()
    return (f"sender {mail.kind} {mail.sender_address.lower()}",)


def _threads_of_buyer(mail: ParsedMail, buyer: str) -> tuple[str, ...]:
    threads = [] if mail.thread_tag is None else [f"buyer {buyer} tag {mail.thread_tag}"]
    if mail.thread_id is not None:
        threads.append(f"buyer {buyer} thread {mail.thread_id}")
    order_id = order_of(mail)
    if order_id is not None:
        threads.append(f"buyer {buyer} order {order_id}")
    elif mail.asin is not None and buyer_of(mail) is not None:
        threads.append(f"buyer {buyer} product {mail.asin}")
    return tuple(threads)


def order_of(mail: ParsedMail) -> str | None:
    """The one order that the mail is about: the first that it names. Others are mentioned, and found by it."""
    return mail.order_ids[0] if mail.order_ids and mail.kind in ABOUT_ONE_ORDER else None


def buyer_of(mail: ParsedMail) -> str | None:
    """The buyer's address, unless it is one that many buyers share: only an order or a tag distinguishes those."""
    return None if mail.buyer_address is None else own_buyer_address(mail.buyer_address)
