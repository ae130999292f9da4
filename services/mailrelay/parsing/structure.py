"""Header fields and MIME parts of a mail, found in its bytes within limits.

The splitting is ours, because the standard library's parser has no limits: it keeps every part of a bomb, and recurses
once a level. Of its package we use what reads a single value of bounded length: `email.message.Message` with the policy
`compat32` for parameters (RFC 2231), as `policy.default` raises on malformed values, and `email.utils` for dates.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from itertools import islice

from services.mailrelay.parsing.boundaries import find_boundary
from services.mailrelay.parsing.charsets import decode_text
from services.mailrelay.parsing.decoding import decode_header, decode_words
from services.mailrelay.parsing.filenames import MAX_FILENAME_CHARS, shorten_filename
from services.mailrelay.parsing.transfer import decode_transfer
from services.mailrelay.parsing.uuencoded import UuencodedFile, split_uuencoded

# Amazon's mails have 2 levels; 40 are known from a sample of broken ones. A level costs one more search of the body.
MAX_DEPTH = 50
# A mail by hand has fewer than 20; each costs memory even when it is empty.
MAX_PARTS = 500
# Lines that begin like a delimiter, in all levels together: many that are none, at every level, would cost minutes.
MAX_DELIMITERS = 100_000
# Postfix allows 102,400 (header_size_limit); signatures and ARC chains stay far below.
MAX_HEADER_BYTES = 256 * 1024
MAX_PART_HEADER_BYTES = 16 * 1024
MAX_FIELDS = 1_000
# No genuine Subject, From or Content-Type is longer.
MAX_VALUE_BYTES = 8 * 1024
# A name of 150 letters, each percent-encoded and in lines of its own, has some 40. The standard library looks for the end of each one
# anew in all that was before it.
MAX_PARAMETERS = 100
# The relay accepts 40 MB at most, and decoding never makes more bytes out of fewer.
MAX_DECODED_BYTES = 40 * 1024 * 1024
# A message id in form (RFC 2045 §7): local part and domain.
MAX_CONTENT_ID_CHARS = 320
# RFC 2046 allows 70 characters and blanks behind them.
MAX_BOUNDARY_LINE_BYTES = 200
_LF = ord("\n")

_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
# Some programs forget the semicolon before it.
_CHARSET = re.compile(r"charset\s{0,5}=\s{0,5}([^\s;]{1,100})", re.IGNORECASE)
_TOKEN = re.compile(r"[a-z0-9-]+")
_UUENCODE = frozenset({"x-uuencode", "x-uue", "uuencode", "uue"})
# A line of blanks alone where the empty line should be: what follows is no field, nor does it continue one.
_BLANK_LINE = re.compile(rb"\n[ \t]+\r?\n(?![ \t\r\n])")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: name in lower case, the value as it stands, and the whole line(s) with their line end."""

    name: str
    value: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME tree, decoded."""

    content_type: str
    charset: str | None
    filename: str | None
    is_attachment: bool
    content_id: str | None
    content: bytes
    flowing: str | None
    """`flowed`, or `delsp` if the blank at which a line flows is no blank of the text (RFC 3676)."""
    alternatives: tuple[tuple[int, int], ...]
    """Of each `multipart/alternative` around it, from the outermost: the number of the container, and which of its parts this is."""


@dataclass(slots=True)
class ParserLimits:
    """What is left to spend on one mail, and whether a limit has cut something."""

    parts: int = MAX_PARTS
    delimiters: int = MAX_DELIMITERS
    decoded_bytes: int = MAX_DECODED_BYTES
    was_reached: bool = False

    def take(self, content: bytes) -> bytes:
        """As much of a part's content as may still be decoded."""
        if len(content) > self.decoded_bytes:
            content = content[: self.decoded_bytes]
            self.was_reached = True
        self.decoded_bytes -= len(content)
        return content


def end_of_header(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the header block ends and where the body begins: an empty line is between them (RFC 5322 §2.1), usually."""
    for empty in (b"\r\n", b"\n"):
        if raw.startswith(empty, start, end):
            return start, start + len(empty)
    crlf, lf = raw.find(b"\n\r\n", start, end), raw.find(b"\n\n", start, end)
    if crlf < 0 and lf < 0:
        stray = _first_stray_line(raw, start, end)
        return stray, stray
    header_end, body_start = (crlf + 1, crlf + 3) if lf < 0 or 0 <= crlf < lf else (lf + 1, lf + 2)
    for blank in _BLANK_LINE.finditer(raw, start, header_end):
        if _FIELD.match(raw, blank.end(), header_end) is None:
            return blank.start() + 1, blank.end()
    return header_end, body_start


def _first_stray_line(raw: bytes, start: int, end: int) -> int:
    """Without an empty line the body begins at the first line that belongs to no field: better shown than left out."""
    position = start
    for _ in range(MAX_FIELDS):
        if raw[position : position + 1] not in {b" ", b"\t"} and _FIELD.match(raw, position, end) is None:
            return position
        line_end = raw.find(b"\n", position, end)
        if line_end < 0:
            break
        position = line_end + 1
    return end


def read_fields(block: bytes) -> Iterator[Field]:
    """The fields of a header block. A line that is none is left out, and so are the lines that continue it."""
    current: list[bytes] = []
    # Only LF ends a line: with `splitlines` a bare CR could begin a second From.
    for line in block.split(b"\n"):
        if line[:1] not in {b" ", b"\t"} and current:
            yield from _field(b"\n".join(current))
            current = []
        current.append(line)
    yield from _field(b"\n".join(current))


def _field(raw: bytes) -> Iterator[Field]:
    match = _FIELD.match(raw)
    if match is not None:
        yield Field(match.group(1).decode("ascii").lower(), raw[match.end() :].strip(b" \t\r\n"), raw)


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a mail, as far as it is read, and where its body begins. `is_cut`: there is more of it."""

    fields: list[Field]
    end: int
    body_start: int
    is_cut: bool


def read_head(raw: bytes) -> Head:
    """The header of a mail, within the limits."""
    header_end, body_start = end_of_header(raw, 0, len(raw))
    block = raw[: min(header_end, MAX_HEADER_BYTES)]
    fields = list(islice(read_fields(block), MAX_FIELDS + 1))
    is_cut = len(block) < header_end or len(fields) > MAX_FIELDS
    return Head(fields[:MAX_FIELDS], len(block), body_start, is_cut)


class Header:
    """Fields by name; of a field that must be single the first one counts (RFC 5322 §3.6 allows one)."""

    __slots__ = ("_parameterised", "_values")

    def __init__(self, fields: list[Field]) -> None:
        self._parameterised: dict[str, _Parameterised] = {}
        self._values: dict[str, list[bytes]] = {}
        for item in fields:
            self._values.setdefault(item.name, []).append(item.value[:MAX_VALUE_BYTES])

    def __bool__(self) -> bool:
        return bool(self._values)

    def count(self, name: str) -> int:
        return len(self._values.get(name, ()))

    def raw(self, name: str) -> str | None:
        """The first value, unfolded, with its encoded words as they are: for addresses and parameters."""
        values = self._values.get(name)
        return None if values is None else _unfold(values[0])

    def all_raw(self, name: str) -> list[str]:
        """All values of the name, each unfolded, with their encoded words as they are."""
        return [_unfold(value) for value in self._values.get(name, ())]

    def text(self, name: str) -> str | None:
        """The first value as a person reads it."""
        values = self._values.get(name)
        return None if values is None else decode_header(values[0])

    def parameterised(self, name: str) -> "_Parameterised":
        """The first value, taken apart into what it says and its parameters; several ask for it, and once is dear enough."""
        found = self._parameterised.get(name)
        if found is None:
            found = self._parameterised[name] = _parameterised(self.raw(name))
        return found


def _unfold(value: bytes) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", decode_text(value, None))


@dataclass(frozen=True, slots=True)
class _MimeHeader:
    content_type: str
    charset: str | None
    boundary: bytes | None
    is_container: bool
    is_alternative: bool
    flowing: str | None
    filename: str | None
    is_attachment: bool
    content_id: str | None
    transfer_encoding: str


@dataclass(frozen=True, slots=True)
class _Nesting:
    """How deep a part lies, and in which alternatives (see `Part`)."""

    depth: int = 0
    alternatives: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Parameterised:
    """A value like `text/plain; charset=utf-8`; the names of its parameters in lower case."""

    content_type: str
    parameters: Mapping[str, str]


def read_parts(header: Header, raw: bytes, body_start: int, limits: ParserLimits) -> list[Part]:
    """The leaves of the mail in their order. Enclosed mails (message/rfc822) are leaves: nobody looks into a bomb."""
    return list(_walk(header, raw, (body_start, len(raw)), _Nesting(), limits))


def media_type_of(header: Header) -> tuple[str, str | None]:
    """The media type that the header names, `text/plain` if it names none, and its character set."""
    content = header.parameterised("content-type")
    return content.content_type, content.parameters.get("charset") or None


def is_report(header: Header) -> bool:
    """Whether the mail is a delivery status notification (RFC 3464 §2)."""
    content = header.parameterised("content-type")
    return (
        content.content_type == "multipart/report"
        and content.parameters.get("report-type", "").lower() == "delivery-status"
    )


def _walk(
    header: Header, raw: bytes, span: tuple[int, int], nesting: _Nesting, limits: ParserLimits
) -> Iterator[Part]:
    # Spans instead of slices: fifty levels must not mean fifty copies of a large mail.
    mime = _mime_header(header, limits)
    for boundary in _boundaries(mime, raw, span):
        is_container = False
        for position, section in enumerate(_sections(raw, span, boundary, limits)):
            is_container = True
            if nesting.depth == MAX_DEPTH or limits.parts == 0:
                limits.was_reached = True
                return
            # No two containers begin at one byte.
            choice = ((span[0], position),) if mime.is_alternative else ()
            inside = _Nesting(nesting.depth + 1, nesting.alternatives + choice)
            yield from _walk_section(raw, section, inside, limits)
        if is_container:
            return
    yield from _leaves(mime, raw[span[0] : span[1]], nesting.alternatives, limits)


def _boundaries(mime: _MimeHeader, raw: bytes, span: tuple[int, int]) -> Iterator[bytes]:
    """The boundary that the header names, and, asked for if that never comes, the one that the body shows."""
    if mime.boundary is not None:
        yield mime.boundary
    if mime.is_container:
        found = find_boundary(raw, *span)
        if found is not None:
            yield found


def _walk_section(
    raw: bytes, span: tuple[int, int], nesting: _Nesting, limits: ParserLimits
) -> Iterator[Part]:
    start, end = span
    header_end, body_start = end_of_header(raw, start, end)
    if header_end - start > MAX_PART_HEADER_BYTES:
        limits.was_reached = True
        header_end = start + MAX_PART_HEADER_BYTES
    header = Header(list(read_fields(raw[start:header_end])))
    # Without any field all of it is to be read.
    yield from _walk(header, raw, (body_start if header else start, end), nesting, limits)


def _leaves(
    mime: _MimeHeader, encoded: bytes, alternatives: tuple[tuple[int, int], ...], limits: ParserLimits
) -> Iterator[Part]:
    """The part, and the files that stand in it in uuencode."""
    if limits.parts == 0:
        limits.was_reached = True
        return
    is_text = mime.content_type.startswith("text/")
    content = limits.take(decode_transfer(encoded, mime.transfer_encoding, is_text=is_text))
    if mime.content_type == "message/rfc822" and not content.endswith(b"\n"):
        content += b"\r\n"  # the part's last line end was counted to the delimiter; a mail ends with one
    files: list[UuencodedFile] = []
    if mime.transfer_encoding in _UUENCODE or (mime.content_type == "text/plain" and not mime.is_attachment):
        rest, files = split_uuencoded(content)
        content = rest if files else content
    is_file = mime.transfer_encoding in _UUENCODE and bool(files)
    if not is_file or content.strip():
        limits.parts -= 1
        filename = None if is_file else mime.filename
        yield Part(mime.content_type, mime.charset, filename, mime.is_attachment and not is_file, mime.content_id, content, mime.flowing, alternatives)  # fmt: skip
    for file in files:
        if limits.parts == 0:
            limits.was_reached = True
            return
        limits.parts -= 1
        name = (mime.filename if is_file else None) or _shorten(decode_text(file.name, mime.charset), limits)
        content_type = mime.content_type if is_file else "application/octet-stream"
        yield Part(content_type, None, name, True, mime.content_id if is_file else None, limits.take(file.content), None, alternatives)  # fmt: skip


def _sections(
    raw: bytes, span: tuple[int, int], boundary: bytes, limits: ParserLimits
) -> Iterator[tuple[int, int]]:
    """What stands between the delimiter lines (RFC 2046 §5.1.1); without a closing one the last part ends with the body."""
    position, body_end = span
    mark = b"--" + boundary
    start: int | None = None
    while (at := raw.find(mark, position, body_end)) >= 0:
        position = at + len(mark)
        limits.delimiters -= 1
        if limits.delimiters < 0:
            limits.was_reached = True
            break
        if at > span[0] and raw[at - 1] != _LF:
            continue
        line_end = raw.find(b"\n", position, body_end)
        line_end = body_end if line_end < 0 else line_end
        rest = raw[position : min(line_end, position + MAX_BOUNDARY_LINE_BYTES)].rstrip(b" \t\r")
        if rest not in {b"", b"--"}:
            continue
        if start is not None:
            # The line end before a delimiter belongs to the delimiter.
            end = at - 2 if raw[at - 2 : at] == b"\r\n" else at - 1
            yield start, max(start, end)
        position = min(line_end + 1, body_end)
        # After the last delimiter comes nothing (RFC 2046 §5.1.1), unless an inner container was closed by the wrong one.
        start = None if rest == b"--" else position
    if start is not None:
        yield start, body_end


def _mime_header(header: Header, limits: ParserLimits) -> _MimeHeader:
    content = header.parameterised("content-type")
    disposition = header.parameterised("content-disposition")
    # A name that was cut off has lost its second quotation mark.
    filename = decode_words(
        (disposition.parameters.get("filename") or content.parameters.get("name", "")).removeprefix('"')
    )
    declared_type = content.content_type
    media_type = _MEDIA_TYPE.match(declared_type)
    content_type = media_type.group() if media_type is not None else "application/octet-stream"
    boundary = None
    if content_type.startswith("multipart/"):
        boundary = content.parameters.get("boundary", "").rstrip().encode() or None
        # Read as text if the boundary never comes: better a reader sees it than nobody.
        content_type = "text/plain"
    flowing = None
    if content.parameters.get("format", "").lower() == "flowed":
        flowing = "delsp" if content.parameters.get("delsp", "").lower() == "yes" else "flowed"
    encoding = _TOKEN.search((header.raw("content-transfer-encoding") or "").lower())
    return _MimeHeader(
        content_type=content_type,
        charset=_charset(content, header),
        boundary=boundary,
        is_container=declared_type.startswith("multipart/"),
        is_alternative=declared_type == "multipart/alternative",
        flowing=flowing,
        filename=_shorten(filename, limits) or None,
        is_attachment=(header.raw("content-disposition") or "").partition(";")[0].strip().lower()
        == "attachment",
        content_id=_content_id(header),
        transfer_encoding=encoding.group() if encoding is not None else "",
    )


def _shorten(filename: str, limits: ParserLimits) -> str:
    filename = filename.replace("\x00", "")
    limits.was_reached |= len(filename) > MAX_FILENAME_CHARS
    return shorten_filename(filename)


def _charset(content: _Parameterised, header: Header) -> str | None:
    declared = content.parameters.get("charset", "")
    if not declared:
        found = _CHARSET.search(header.raw("content-type") or "")
        declared = found.group(1) if found is not None else ""
    return declared or None


def _content_id(header: Header) -> str | None:
    # RFC 2392 §2: without its angles it is what stands behind `cid:`.
    value = (header.text("content-id") or "").strip().removeprefix("<").removesuffix(">")
    return value if 0 < len(value) <= MAX_CONTENT_ID_CHARS else None


def _parameterised(value: str | None) -> _Parameterised:
    if value is None:
        return _Parameterised("text/plain", {})
    message = Message()  # policy compat32
    message["Content-Type"] = ";".join(value.split(";", MAX_PARAMETERS)[:MAX_PARAMETERS])
    parameters: dict[str, str] = {}
    try:
        # All at once: the standard library reads the whole value for each one that it is asked for.
        found = message.get_params([])
    except (ValueError, LookupError, TypeError):
        # It stumbles over a continuation numbered with 5,000 digits, or one with a number and one without.
        found = []
    for name, text in found:
        parameters.setdefault(name.lower(), _parameter_text(text))
    return _Parameterised(message.get_content_type(), parameters)


def _parameter_text(value: str | tuple[str | None, str | None, str]) -> str:
    if isinstance(value, str):
        return value
    charset, _, text = value
    # RFC 2231 values come as latin-1 letters, one for each byte; others stood there without being encoded.
    is_encoded = all(ord(letter) < 256 for letter in text)
    return decode_text(text.encode("latin-1"), charset) if is_encoded else text
