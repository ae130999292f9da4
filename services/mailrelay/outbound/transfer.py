"""How a text travels: as it is, or quoted-printable where something on the way could change it (RFC 2045 §6). Pure."""

import re
from collections.abc import Iterator
from typing import Final

# RFC 5321 §4.5.3.1.6 and RFC 5322 §2.1.1, without the line end.
_LONGEST_LINE: Final = 998
# RFC 2045 §6.7 allows 76 with the `=` of a soft line break; two more are what `_shielded` may add.
_QUOTED_LINE: Final = 73
# Blanks at a line's end are cut by some servers; `From ` gets a `>` in mailboxes; a dot alone ends a mail, and a server that undoes the
# doubling of dots wrongly loses one; the last is how the lines between MIME parts begin.
_FRAGILE: Final = re.compile(rb"[ \t]\r\n|(?:\A|\n)(?:From |\.|--=_)")
_QUOTED: Final = tuple(
    chr(byte) if byte in b"\t" or (0x20 <= byte <= 0x7E and byte != 0x3D) else f"={byte:02X}"
    for byte in range(256)
)


def clean_text(text: str) -> str:
    """What a person wrote, with line ends of one kind and without what no mail can carry.

    Line and paragraph separators, vertical tabs and form feeds become line ends, as they are shown. Other control characters are left
    out, and half a letter (a lone surrogate) is shown as missing. Empty lines at the end are dropped; nothing else changes.
    """
    text = re.sub(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", "", text).lstrip("\ufeff")
    return re.sub(r"[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text).rstrip("\n") + "\n"


def encode_text(text: str, *, eight_bit: bool) -> tuple[str, bytes]:
    """The Content-Transfer-Encoding of a cleaned text, and the text in it with CRLF. `eight_bit`: the server offers 8BITMIME (RFC 6152)."""
    content = text.replace("\n", "\r\n").encode()
    longest = max(map(len, content.split(b"\r\n")))
    if longest > _LONGEST_LINE or _FRAGILE.search(content):
        return "quoted-printable", _quoted_printable(content)
    if content.isascii():
        return "7bit", content
    return ("8bit", content) if eight_bit else ("quoted-printable", _quoted_printable(content))


def _quoted_printable(content: bytes) -> bytes:
    lines = content.removesuffix(b"\r\n").split(b"\r\n")
    return "".join(f"{soft_line}\r\n" for line in lines for soft_line in _soft_lines(line)).encode("ascii")


def _soft_lines(line: bytes) -> Iterator[str]:
    """A line as lines of at most 76 characters; all but the last one end in `=`."""
    quoted = "".join(map(_QUOTED.__getitem__, line))
    if quoted[-1:] in {" ", "\t"}:
        quoted = f"{quoted[:-1]}={ord(quoted[-1]):02X}"
    start = 0
    while len(quoted) - start > _QUOTED_LINE:
        # Of a `=C3` nothing is cut off.
        sign = quoted.rfind("=", start + _QUOTED_LINE - 2, start + _QUOTED_LINE)
        end = sign if sign >= 0 else start + _QUOTED_LINE
        yield f"{_shielded(quoted[start:end])}="
        start = end
    yield _shielded(quoted[start:])


def _shielded(line: str) -> str:
    if line.startswith("From "):
        return f"=46{line[1:]}"
    return f"=2E{line[1:]}" if line.startswith(".") else line
