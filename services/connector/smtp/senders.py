"""The address from which a seller's own SMTP server sends."""

import re
from typing import Final

from shared.errors import Expected
from shared.outgoing.hosts import HostInvalid, host_name

_MAX_ADDRESS: Final = 254
# A dot-atom of RFC 5321: no quotes, no spaces, no line ends, nothing that has a meaning in a command or a header.
_LOCAL_PART: Final = re.compile(
    r"(?=.{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@"
)


class SenderInvalid(Expected):
    """This is not an address that mail can be sent from."""

    code = "sender_invalid"


def sender_address(entered: str) -> str:
    """The address with its domain as DNS has it. Raises SenderInvalid."""
    text = entered.strip()
    local_part, _, domain = text.rpartition("@")
    if not _LOCAL_PART.fullmatch(f"{local_part}@"):
        raise SenderInvalid
    try:
        address = f"{local_part}@{host_name(domain)}"
    except HostInvalid as error:
        raise SenderInvalid from error
    if len(address) > _MAX_ADDRESS:
        raise SenderInvalid
    return address
