"""The mailboxes in a From or Reply-To header (RFC 5322 §3.4), read strictly.

Whether a mail is Amazon's is decided on the address found here, so a header with two readings has none: a display name,
a comment or a quoted string is never read as an address.
"""

import re
from dataclasses import dataclass

from services.mailrelay.parsing.decoding import decode_words

# RFC 5321 §4.5.3.1: 64 for the local part, 255 for the domain.
MAX_ADDRESS_CHARS = 320
MAX_NAME_CHARS = 200

# One token at a time; what no alternative covers makes the header unreadable. No alternative can backtrack into another.
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<angle><[^<>"\s]*>)|(?P<comma>,)|(?P<word>[^\s"<>(),;:\\]+)""",
    re.DOTALL,
)
# Dot-atoms in ASCII: an address in another alphabet, quoted or with a source route is none of Amazon's.
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?"
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address with the name beside it; the domain is lower case."""

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
    if not tokens:
        return None
    *before, (kind, last) = tokens
    if kind == "angle":
        if any(earlier == "angle" for earlier, _ in before):
            return None
        name = " ".join(re.sub(r"\\(.)", r"\1", t[1:-1]) if k == "quoted" else t for k, t in before)
        address = last[1:-1]
    elif kind == "word" and not before:
        name, address = "", last
    else:
        return None
    if len(address) > MAX_ADDRESS_CHARS or _ADDRESS.fullmatch(address) is None:
        return None
    local, _, domain = address.rpartition("@")
    # Decoded last: an encoded word cannot bring a comma, an angle or an address of its own (RFC 2047 §5).
    shown = decode_words(name)
    shown = " ".join("".join(c for c in shown if c.isprintable()).split())[:MAX_NAME_CHARS]
    return Mailbox(shown or None, local, domain.lower())
