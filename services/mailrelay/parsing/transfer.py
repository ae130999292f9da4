"""Transfer encodings (RFC 2045 §6) of parts, and whether a part is in the encoding that its header names. Nothing here raises."""

import binascii
import codecs
import re

from shared.sniffing import UNKNOWN, sniff

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_LINE_ENDS = b"\r\n"
# No word of a language is so long; lines of base64 are, up to 76 characters (RFC 2045 §6.8).
_LINE_OF_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40}")
# As much base64 as nobody writes by hand, nor gives as a number of anything.
_MIN_UNNAMED_BASE64 = 60
# Of several blocks in a row; a part with more is garbage, of which nobody makes a list.
_MAX_PADDINGS = 1_000
_PADDING = re.compile(rb"=+")
# Blanks at a line's end are what relays add (RFC 2045 §6.7 rule 3). Python loses all that follows a bare CR.
_SOFT_BREAK = re.compile(rb"=[ \t]*(?:\r?\n|\r)")
_ESCAPE = re.compile(rb"=[0-9A-F]{2}")
# Not those of ISO-2022: escape, shift in, shift out.
_ESCAPED_CONTROL = re.compile(rb"=(?=0[1-8BC]|1[0-9AC-F])")
_EQUALS_WITHOUT_MEANING = re.compile(rb"=(?![0-9A-F]{2}|[ \t]*\r?\n|\Z)")
# What no text holds: C0 without tab, line ends, form feed and escape (ISO-2022-JP).
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_NOT_ASCII_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x80-\xff]")
_HEAD_BYTES = 4_096


def decode_transfer(content: bytes, encoding: str, *, is_text: bool) -> bytes:
    """Undo a Content-Transfer-Encoding as far as the content is in it; an unknown one is treated as `binary`."""
    match encoding:
        case "base64":
            decoded = decode_base64(content)
            return decoded if _is_base64(content, decoded, is_text=is_text) else content
        case "quoted-printable":
            return decode_quoted_printable(_keep_controls(content) if is_text else content)
        case "" | "7bit" | "8bit" | "binary" if is_text:
            return _decode_unnamed(content)
        case _:
            return content


def decode_base64(content: bytes) -> bytes:
    """Base64 with everything foreign to its alphabet skipped, and a broken end cut off. Several in a row are read on."""
    # Not by a regular expression: 40 MB with a stray character in every fifth place took 2.4 GB.
    content = content.translate(None, _NOT_BASE64)
    if content.count(b"=") > _MAX_PADDINGS:
        content = content.replace(b"=", b"")
    return b"".join(map(_decode_block, _PADDING.split(content)))


def _decode_block(block: bytes) -> bytes:
    # One surplus character holds six bits and cannot be a byte.
    whole = block[:-1] if len(block) % 4 == 1 else block
    return binascii.a2b_base64(whole + b"==")


def decode_quoted_printable(content: bytes) -> bytes:
    """Quoted-printable, in capitals or not; what is no escape stays as it is."""
    return binascii.a2b_qp(_SOFT_BREAK.sub(b"", content))


def _keep_controls(content: bytes) -> bytes:
    """Escapes that would be control characters stay as they are: `?page=12` in a text that is no quoted-printable."""
    # UTF-16 has some, and NUL.
    return content if b"=00" in content else _ESCAPED_CONTROL.sub(b"=3D", content)


def _is_base64(content: bytes, decoded: bytes, *, is_text: bool) -> bool:
    """Whether what is called base64 is that, well or badly; else it is plain text, or a file as it is."""
    foreign = content.strip().translate(None, _ALPHABET + _LINE_ENDS)
    if not foreign or _LINE_OF_BASE64.search(content) is not None:
        return True
    if not is_text:
        head = content[:_HEAD_BYTES]
        return _NOT_ASCII_TEXT.search(head) is None or sniff(head) == UNKNOWN
    return _reads_as_text(decoded) or _BINARY.search(content[:_HEAD_BYTES]) is not None


def _decode_unnamed(content: bytes) -> bytes:
    """Text that is in base64 or quoted-printable as a whole though no header says so."""
    if len(content) >= _MIN_UNNAMED_BASE64 and not content.translate(None, _ALPHABET + _LINE_ENDS):
        decoded = decode_base64(content)
        if len(content.translate(None, _LINE_ENDS)) % 4 == 0 and b" " in decoded and _reads_as_text(decoded):
            return decoded
    if content.isascii() and _ESCAPE.search(content) is not None:
        decoded = decode_quoted_printable(content)
        # Letters beyond ASCII, in UTF-8, and no `=` that stands for itself: an address of the web has some.
        if (
            _EQUALS_WITHOUT_MEANING.search(content) is None
            and not decoded.isascii()
            and _is_utf_8(decoded, is_whole=True)
        ):
            return decoded
    return content


def _reads_as_text(content: bytes) -> bool:
    head = content[:_HEAD_BYTES]
    return bool(head) and _BINARY.search(head) is None and _is_utf_8(head, is_whole=False)


def _is_utf_8(content: bytes, *, is_whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True
