"""What sellers enter as the name or the address of a server, checked without asking anybody."""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import idna

from shared.errors import Expected
from shared.outgoing.addresses import Network

# Behind others there may be programs that were never meant for strangers: a webhook could speak to each of them.
WEBHOOK_PORTS: Final = frozenset({443, 8443})
_MAX_HOST: Final = 253
_MAX_URL: Final = 2000
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# 10.0.0.1, 167772161, 0x7f.1 and 017700000001 are addresses to some programs.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PLAIN_URL: Final = re.compile(r"[!-~]+")


class HostInvalid(Expected):
    """This is not the full name of a server in the public DNS."""

    code = "host_invalid"


class UrlInvalid(Expected):
    """This is not an https address without user, password and fragment."""

    code = "url_invalid"


def host_name(entered: str, allowed: Sequence[Network] = ()) -> str:
    """The name in lower case and ASCII, as DNS and certificates have it. Raises HostInvalid.

    An IP address is no name, except in a network that an operator has allowed.
    """
    literal = _literal(entered, allowed)
    if literal is not None:
        return literal
    try:
        name = idna.encode(entered.strip().removesuffix("."), uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise HostInvalid from error
    labels = name.split(".")
    if (
        len(name) > _MAX_HOST
        or len(labels) < 2
        or not all(_LABEL.fullmatch(label) for label in labels)
        or _NUMBER.fullmatch(labels[-1])
    ):
        raise HostInvalid
    return name


class UrlPortNotAllowed(Expected):
    """The address names a port that no webhook may have."""

    code = "url_port_not_allowed"


def https_url(entered: str, allowed: Sequence[Network] = (), ports: Collection[int] = WEBHOOK_PORTS) -> str:
    """The address with its host as DNS has it. Raises UrlInvalid, HostInvalid, UrlPortNotAllowed."""
    parts = _parts(entered)
    host = host_name(parts.hostname or "", allowed)
    if (parts.port or 443) not in ports:
        raise UrlPortNotAllowed(ports=", ".join(str(port) for port in sorted(ports)))
    shown = f"[{host}]" if ":" in host else host
    authority = shown if parts.port in {None, 443} else f"{shown}:{parts.port}"
    return SplitResult("https", authority, parts.path or "/", parts.query, "").geturl()


def _parts(entered: str) -> SplitResult:
    text = entered.strip()
    try:
        parts = urlsplit(text)
        is_plain = (
            len(text) <= _MAX_URL
            and parts.scheme == "https"
            and parts.hostname
            and parts.port != 0
            and "@" not in parts.netloc
            and "#" not in text
            and "\\" not in text
            and _PLAIN_URL.fullmatch(parts.path + parts.query or "/")
        )
    except ValueError as error:
        raise UrlInvalid from error
    if not is_plain:
        raise UrlInvalid
    return parts


def _literal(entered: str, allowed: Sequence[Network]) -> str | None:
    try:
        address = ip_address(entered.strip().strip("[]"))
    except ValueError:
        return None
    if not any(address in network for network in allowed):
        raise HostInvalid
    return str(address)
