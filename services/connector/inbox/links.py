"""Where a link in a mail leads, said so that nobody is deceived. Pure.

Browsers read addresses by the URL Standard, Python by RFC 3986, and a mail may hold what the two read differently
(`https://evil.example\\@amazon.de`). So an address is taken apart here and put together again from what was understood: what is
shown and what is followed are the same. What is not plain is no link.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

MAX_CHARACTERS: Final = 2_000
# Browsers drop tabs and line ends, and read a backslash as a slash.
_DECEIVING: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?")
_ADDRESS: Final = re.compile(r"[^\s@<>\"',;:?&%()\[\]\\]{1,64}@([^\s@<>\"',;:?&%()\[\]\\]{1,253})")
# What a path, query or fragment holds as it is (RFC 3986 §3.3-3.5); a percent sign stands for what was quoted before.
_KEPT: Final = "/:?#[]@!$&'()*+,;=%-._~"


@dataclass(frozen=True, slots=True)
class Link:
    """`target` is the host, as the DNS knows it, so that letters of other scripts show; of `mailto:`, the address."""

    url: str
    target: str


def link_of(href: str) -> Link | None:
    """A link to the web or to a mailbox; None for everything else."""
    address = href.strip()
    if len(address) > MAX_CHARACTERS or _DECEIVING.search(address):
        return None
    scheme, _, rest = address.partition(":")
    if scheme.lower() == "mailto":
        return _to_mailbox(rest.partition("?")[0])
    if scheme.lower() in {"http", "https"} and rest.startswith("//"):
        return _to_web(address)
    return None


def _to_mailbox(mailbox: str) -> Link | None:
    found = _ADDRESS.fullmatch(mailbox)
    host = _ascii_host(found[1]) if found else None
    if host is None or not mailbox.isascii():
        return None
    return Link(f"mailto:{quote(mailbox, safe='@+')}", mailbox)


def _to_web(address: str) -> Link | None:
    try:
        parts = urlsplit(address)
        host = _ascii_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        return None
    if host is None:
        return None
    place = host if port is None else f"{host}:{port}"
    rest = quote(parts.path or "/", safe=_KEPT)
    if parts.query:
        rest += f"?{quote(parts.query, safe=_KEPT)}"
    if parts.fragment:
        rest += f"#{quote(parts.fragment, safe=_KEPT)}"
    # Without user and password: they are there to look like a host.
    return Link(f"{parts.scheme}://{place}{rest}", place)


def _ascii_host(host: str) -> str | None:
    try:
        name = host.encode("idna").decode().lower()
    except UnicodeError:
        return None
    return name if _HOST.fullmatch(name) else None
