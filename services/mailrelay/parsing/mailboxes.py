"""The mailboxes in a From or Reply-To header (RFC 5322 §3.4), read strictly.

Whether a mail is Amazon's is decided on the address found here, so a header with two readings has none: a display name,
a comment or a quoted string is never read as an address.
"""

import re
import unicodedata
from dataclasses import dataclass

import idna

from services.mailrelay.parsing.decoding import decode_words

# RFC 5321 §4.5.3.1: 64 for the local part, 255 for the domain.
MAX_ADDRESS_CHARS = 320
MAX_NAME_CHARS = 200

# One token at a time; what no alternative covers makes the header unreadable. No alternative can backtrack into another. Signs in an
# encoded word part no addresses, whatever RFC 2047 §5 says of them; one with an address in it may be read in two ways.
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<angle><[^<>"]*>)|(?P<comma>,)|(?P<encoded>=\?[^?@\s"<>]{1,64}\?[bBqQ]\?[^?@\s"<>]*\?=(?![^\s<(=]))|(?P<word>[^\s"<>(),;:\\]+)""",
    re.DOTALL,
)
# Dot-atoms, with letters of any alphabet in both parts (RFC 6531 §3.3); one that is quoted or has a source route is none of
# Amazon's.
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]{1,64}@[^\W_](?:[^\W_]|[.\-\u0300-\u036f]){0,254}"
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address with the name beside it. The domain is in lower case; other letters than those of ASCII stand in it as they were
    sent, so it is equal to no domain of Amazon's whatever it looks like."""

    name: str | None
    local: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"


def read_mailboxes(value: str) -> tuple[Mailbox, ...]:
    """Every mailbox of the header, or none at all if any part of it cannot be read for certain."""
    entries = _tokenise(value)
    if entries is None:
        return ()
    boxes = [_read_entry(entry) for entry in entries]
    readable = tuple(box for box in boxes if box is not None)
    return readable if len(readable) == len(boxes) else ()


def _tokenise(value: str) -> list[list[tuple[str, str]]] | None:
    entries: list[list[tuple[str, str]]] = [[]]
    position = 0
    while position < len(value):
        if value[position] == "(":
            end = _end_of_comment(value, position)
            if end is None:
                return None
            entries[-1].append(("comment", value[position + 1 : end - 1]))
            position = end
            continue
        match = _TOKEN.match(value, position)
        if match is None or match.lastgroup is None:
            return None
        if match.lastgroup == "comma":
            entries.append([])
        elif match.lastgroup != "blank":
            entries[-1].append((match.lastgroup, match.group()))
        position = match.end()
    return entries


def _end_of_comment(value: str, start: int) -> int | None:
    depth = 0
    position = start
    while position < len(value):
        character = value[position]
        if character == "\\":
            position += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return None


def _read_entry(tokens: list[tuple[str, str]]) -> Mailbox | None:
    comments = [text for kind, text in tokens if kind == "comment"]
    tokens = [token for token in tokens if token[0] != "comment"]
    if not tokens:
        return None
    *before, (kind, last) = tokens
    if kind == "angle":
        if any(earlier == "angle" for earlier, _ in before):
            return None
        name = " ".join(_unquote(t[1:-1]) if k == "quoted" else t for k, t in before)
        address = last[1:-1].strip()
    elif kind == "word" and not before:
        name, address = "", last
    else:
        return None
    if not _is_address(address):
        return None
    local, _, domain = address.rpartition("@")
    # The name stood in a comment behind the address before there were angles (RFC 5322 §A.6.3).
    return Mailbox(_shown(name) or _shown(_unquote(comments[-1] if comments else "")), local, domain.lower())


def _is_address(address: str) -> bool:
    if (
        len(address) > MAX_ADDRESS_CHARS
        or _ADDRESS.fullmatch(address) is None
        or address.endswith((".", "-"))
    ):
        return False
    if address.isascii():
        return True
    domain = address.rpartition("@")[2].lower()
    # Signs that are not seen, or that turn the direction of writing around, are in no address.
    if not address.isprintable() or unicodedata.normalize("NFC", domain) != domain:
        return False
    try:
        # Without any mapping: amazon.de in full-width letters is no domain, and not Amazon's (RFC 5891 §5.3).
        idna.encode(domain)
    except (idna.IDNAError, UnicodeError):
        return False
    return True


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _shown(name: str) -> str | None:
    # Decoded last: an encoded word cannot bring a comma, an angle or an address of its own (RFC 2047 §5).
    decoded = decode_words(name)
    return " ".join("".join(c for c in decoded if c.isprintable()).split())[:MAX_NAME_CHARS] or None
