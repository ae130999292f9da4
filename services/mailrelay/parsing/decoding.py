"""From the bytes of a mail to text: character sets, encoded words (RFC 2047), transfer encodings (RFC 2045 §6).

Nothing here raises: mail lies about its character set and breaks its base64, and a replacement character is the last
resort, not the first.
"""

import binascii
import re
from collections.abc import Iterator

# Names as they stand in mail → Python's codec. A table and not `codecs.lookup`: that would import modules by a name that
# a stranger chose, and offers codecs that take quadratic time (punycode, idna) or mean something else (rot13).
_CODECS: dict[str, str] = {
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in range(2, 17) if n not in {9, 12}},
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
    **{f"cp125{n}": f"cp125{n}" for n in range(9)},
    # As browsers do (WHATWG): latin-1 in mail is windows-1252 in truth, iso-8859-9 windows-1254, and so on.
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "latin-1"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii", "ansi-x3.4-1968"), "utf-8"),
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be")},
    **dict.fromkeys(("shift-jis", "shift_jis", "sjis", "cp932", "windows-31j"), "cp932"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    **dict.fromkeys(("ks-c-5601-1987", "euc-kr", "cp949"), "cp949"),
    "iso-8859-15": "iso8859-15",
    "iso-2022-jp": "iso2022_jp",
    "iso-2022-jp-2": "iso2022_jp_2",
    "euc-jp": "euc_jp",
    "iso-2022-kr": "iso2022_kr",
    "big5": "big5",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "windows-874": "cp874",
    "tis-620": "cp874",
}
# These are 7-bit with escape sequences: read as anything else they become letter salad.
_STATEFUL = frozenset({"iso2022_jp", "iso2022_jp_2", "iso2022_kr"})

_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?\s]*)\?=")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
_ONLY_FOLDING = re.compile(r"[ \t\r\n]*")
# C0 without tab and line feed, DEL and C1. PostgreSQL's text cannot hold NUL, and no reader wants the others.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def decode_text(content: bytes, charset: str | None) -> str:
    """Text by its declared character set if that holds, else as UTF-8, else as windows-1252."""
    declared = _CODECS.get((charset or "utf-8").strip().lower().replace("_", "-"))
    for codec in (declared, "utf-8"):
        if codec is None:
            continue
        try:
            return content.decode(codec)
        except UnicodeDecodeError:
            if codec in _STATEFUL:
                return content.decode(codec, "replace")
    return content.decode("cp1252", "replace")


def decode_header(value: bytes) -> str:
    """One header's value as a person reads it: unfolded, encoded words decoded, without control characters."""
    text = decode_text(re.sub(rb"\r?\n(?=[ \t])", b"", value), None)
    return _CONTROL.sub("", decode_words(text).replace("\t", " ").replace("\n", " ")).strip()


def decode_words(text: str) -> str:
    """Replace encoded words. Neighbours of one character set are joined as bytes first: Amazon cuts inside letters."""
    return "".join(
        piece if isinstance(piece, str) else decode_text(piece[1], piece[0]) for piece in _join_words(text)
    )


def _join_words(text: str) -> list[str | tuple[str, bytes]]:
    pieces: list[str | tuple[str, bytes]] = []
    for plain, charset, content in _split_words(text):
        follows_word = bool(pieces) and not isinstance(pieces[-1], str)
        if plain and not (follows_word and charset is not None and _ONLY_FOLDING.fullmatch(plain)):
            pieces.append(plain)  # RFC 2047 §6.2: only blanks between two encoded words are not shown
        if charset is None:
            continue
        before = pieces[-1] if pieces else ""
        if not isinstance(before, str) and before[0] == charset:
            pieces[-1] = (charset, before[1] + content)
        else:
            pieces.append((charset, content))
    return pieces


def _split_words(text: str) -> Iterator[tuple[str, str | None, bytes]]:
    """Each encoded word with the plain text before it; at the end the plain text that is left."""
    position = 0
    for match in _ENCODED_WORD.finditer(text):
        charset, encoding, word = match.groups()
        raw = word.encode("utf-8", "replace")
        content = decode_base64(raw) if encoding in "bB" else binascii.a2b_qp(raw, header=True)
        # RFC 2231 §5: the language may stand behind the character set, `utf-8*en`.
        yield text[position : match.start()], charset.partition("*")[0].lower(), content
        position = match.end()
    yield text[position:], None, b""


def decode_transfer(content: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding; an unknown one is treated as `binary`."""
    match encoding.strip().lower():
        case "base64":
            return decode_base64(content)
        case "quoted-printable":
            return binascii.a2b_qp(content)
        case _:
            return content


def decode_base64(content: bytes) -> bytes:
    """Base64 with everything foreign to its alphabet skipped, and a broken end cut off."""
    # Not by a regular expression: 40 MB with a stray character in every fifth place took 2.4 GB.
    content = content.translate(None, _NOT_BASE64)
    # One surplus character holds six bits and cannot be a byte: without it, padding makes the rest whole.
    for attempt in (content, content + b"==", content.rstrip(b"=")[:-1] + b"=="):
        try:
            return binascii.a2b_base64(attempt)
        except binascii.Error:
            continue
    return b""


def clean_text(text: str) -> str:
    """Body text for a reader and for the database: LF, no control characters, no blanks at line ends, trimmed."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
