"""How a body is encoded whose Content-Transfer-Encoding nobody has signed: what its bytes tell, whatever the header says.

Anybody on the way could add, change or remove the header. So it is not asked at all, and an encoding is taken for true only if every
byte of the body fits it and what comes out is text. Only a mail of one part needs this: of several, each part says it within the body.
"""

import re
from typing import Final

from services.mailrelay.parsing.structure import Header, media_type_of
from services.mailrelay.parsing.transfer import decode_base64, decode_quoted_printable

# Of a larger body, the first part tells it.
MAX_BYTES: Final = 64 * 1024
# Shorter ones may be a word that a buyer wrote: `Nein` could be base64.
_CERTAIN_BASE64_BYTES: Final = 32
# A few letters of a text may be broken; if more than every tenth is, it was none.
_SHARE_BROKEN: Final = 10

_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/]{4,76}\r?\n)*[A-Za-z0-9+/]{2,76}={0,2}\s*")
# RFC 2045 §6.7: digits in capitals.
_ESCAPED = re.compile(rb"=[0-9A-F]{2}")
_SOFT_BREAK = re.compile(rb"=[ \t]*\r?\n(?=[^\r\n])")
_QUOTED = re.compile(rb"=(?:[0-9A-F]{2}|[ \t]*\r?\n)")
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def transfer_encoding_of(header: Header, body: bytes | memoryview) -> str | None:
    """`base64` or `quoted-printable` if the body is certainly encoded so, else None: it stands for itself."""
    media_type, charset = media_type_of(header)
    if media_type.startswith(("multipart/", "message/")):
        return None
    sample = _whole_lines(bytes(body[: MAX_BYTES + 1]))
    if _is_base64(sample):
        is_certain = len(sample) >= _CERTAIN_BASE64_BYTES or not media_type.startswith("text/")
        if is_certain or _is_text(decoded := decode_base64(sample), charset, len(decoded)):
            return "base64"
    elif _is_quoted_printable(sample):
        escapes = len(_ESCAPED.findall(sample))
        is_certain = _SOFT_BREAK.search(sample) is not None
        if is_certain or _is_text(decode_quoted_printable(sample), charset, escapes):
            return "quoted-printable"
    return None


def _whole_lines(sample: bytes) -> bytes:
    return sample if len(sample) <= MAX_BYTES else sample[: sample.rfind(b"\n", 0, MAX_BYTES) + 1]


def _is_base64(sample: bytes) -> bool:
    if _BASE64_LINES.fullmatch(sample) is None:
        return False
    lines = sample.split()
    # All but the last have one length, and all together are whole groups of four.
    return len({len(line) for line in lines[:-1]}) <= 1 and sum(map(len, lines)) % 4 == 0


def _is_quoted_printable(sample: bytes) -> bool:
    return b"=" in sample and sample.isascii() and b"=" not in _QUOTED.sub(b"", sample)


def _is_text(decoded: bytes, charset: str | None, letters: int) -> bool:
    """Whether these bytes are text: no control characters, and hardly one that is no letter of the character set."""
    if _NO_TEXT.search(decoded) is not None:
        return False
    if charset is not None and charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
        return True
    return decoded.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}") * _SHARE_BROKEN <= letters
