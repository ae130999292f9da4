"""Which addresses may be confirmed, and in which form they are compared. Pure."""

import re
from typing import Final

from shared.addresses import comparable_address
from shared.errors import Expected

MAX_ADDRESS: Final = 254
# A dot-atom at a name of ASCII letters (RFC 5322 §3.4.1): what the mail worker reads in To.
_ADDRESS: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)


class MailboxInvalid(Expected):
    """This is no address that Amazon could have sent mail to."""

    code = "mailbox_invalid"


class MailboxOurs(Expected):
    """A relay address is nobody's mailbox: mail that names another one was never meant for this store."""

    code = "mailbox_ours"


def mailbox_address(entered: str, mail_domain: str) -> str:
    """The address as it is compared. Raises MailboxInvalid, MailboxOurs."""
    address = comparable_address(entered)
    if len(address) > MAX_ADDRESS or _ADDRESS.fullmatch(address) is None:
        raise MailboxInvalid
    if address.rpartition("@")[2] == mail_domain.lower():
        raise MailboxOurs
    return address
