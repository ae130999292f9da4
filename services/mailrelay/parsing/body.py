"""What there is to read of a mail, and its files: which of its parts are its text, in what order, each once."""

import re
from dataclasses import dataclass, field, replace
from html import escape

from services.mailrelay.parsing.charsets import codec_of, decode_text
from services.mailrelay.parsing.decoding import clean_text
from services.mailrelay.parsing.reports import DeliveryReport, read_report
from services.mailrelay.parsing.safe_html import MAX_HTML_CHARS, SafeHtml, make_safe
from services.mailrelay.parsing.structure import (
    Header,
    ParserLimits,
    Part,
    is_report,
    read_head,
    read_parts,
)
from shared.sniffing import sniff

# Seller Central lets a buyer write 4,000 characters. This is a long book's chapter, and the raw mail holds the rest.
MAX_TEXT_CHARS = 200_000
# Amazon allows a few per message; a page with more than this helps nobody.
MAX_ATTACHMENTS = 100
# Of ISO-2022-JP that changes its table for each character; no other set takes so many.
_MAX_BYTES_OF_CHAR = 8
# Where browsers look for it (HTML Standard §4.2.5.4).
_HEAD_OF_HTML_BYTES = 1_024
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,300}?charset\s{0,5}=\s{0,5}[\"']?([\w:.-]{1,40})"
    rb"|<\?xml[^>]{0,100}?encoding\s{0,5}=\s{0,5}[\"']([\w:.-]{1,40})",
    re.IGNORECASE,
)
# The commands of RFC 1896 §2, and its way to write an angle.
_ENRICHED = re.compile(r"<param>[^<]*</param>|<<|</?[A-Za-z0-9-]{1,60}>|\n+", re.IGNORECASE)
# The returned mail, or its header (RFC 6522 §3).
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers"})
_TEXTS = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext"})
_QUOTE_MARKS = re.compile(">*")


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """A file in a mail. `filename` and `content_type` are what the sender wrote: clean the name before it is shown or saved.

    `sniffed_type` is what the content itself looks like. An inline one is part of the text (`cid:` links, RFC 2392) by its
    `content_id`.
    """

    filename: str | None
    content_type: str
    content: bytes
    sniffed_type: str
    content_id: str | None
    is_inline: bool


@dataclass(frozen=True, slots=True)
class Body:
    """All that a mail shows. `text` is plain text where there is some, else that of the HTML; `plain` is None if there is none."""

    text: str
    plain: str | None
    html: str | None
    safe: SafeHtml | None
    attachments: tuple[ParsedAttachment, ...]
    report: DeliveryReport | None
    returned_id: str | None
    """Of a delivery report: the Message-ID of the mail that comes back."""


@dataclass(slots=True)
class _Piece:
    """What stands in one place of the mail, in its forms."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    enriched: list[str] = field(default_factory=list)


def read_body(header: Header, raw: bytes, body_start: int, limits: ParserLimits) -> Body:
    """The text and the files of a mail."""
    parts = read_parts(header, raw, body_start, limits)
    report = returned_id = None
    if is_report(header):
        statuses = (part.content for part in parts if part.content_type == "message/delivery-status")
        report = read_report(next(statuses, b""))
        returned = (part.content for part in parts if part.content_type in _RETURNED)
        returned_id = Header(read_head(next(returned, b"")).fields).raw("message-id")
        # Only the part for people is shown (RFC 3464 §2); the rest is for programs.
        parts = parts[:1]
    attachments: list[ParsedAttachment] = []
    # A text with a name is a file, unless it is all that there is to read.
    if not any(map(_is_text, parts)):
        parts = _with_first_text_shown(parts)
    last = _last_alternatives(parts)
    pieces: dict[object, _Piece] = {}
    left = {
        content_type: MAX_HTML_CHARS if content_type == "text/html" else MAX_TEXT_CHARS
        for content_type in _TEXTS
    }
    for number, part in enumerate(parts):
        if _is_text(part):
            if all(
                position == last[container, part.content_type] for container, position in part.alternatives
            ):
                # What stands in one multipart/alternative is one text in several forms.
                piece = pieces.setdefault(
                    part.alternatives[0][0] if part.alternatives else -1 - number, _Piece()
                )
                text = _read_text(part, left[part.content_type], limits)
                left[part.content_type] -= len(text)
                forms = {"text/plain": piece.plain, "text/html": piece.html}
                forms.get(part.content_type, piece.enriched).append(text)
        elif len(attachments) < MAX_ATTACHMENTS:
            attachments.append(_attachment(part))
        else:
            limits.was_reached = True
    return _join(list(pieces.values()), tuple(attachments), report, returned_id, limits)


def _is_text(part: Part) -> bool:
    return part.content_type in _TEXTS and not part.is_attachment and part.filename is None


def _with_first_text_shown(parts: list[Part]) -> list[Part]:
    """The parts, the first of which that could be read is text besides being a file, and so are its other forms."""
    first = next(filter(_could_be_text, parts), None)
    containers = {container for container, _ in first.alternatives[:1]} if first is not None else set()
    shown: list[Part] = []
    for part in parts:
        is_form = part is first or any(container in containers for container, _ in part.alternatives[:1])
        if is_form and _could_be_text(part):
            content_type = part.content_type if part.content_type in _TEXTS else "text/plain"
            shown.append(replace(part, filename=None, content_type=content_type))
            if part.filename is None:
                continue
        shown.append(part)
    return shown


def _could_be_text(part: Part) -> bool:
    # A table has a name; what has none and is some kind of text is a mail's words.
    is_of_words = part.content_type in _TEXTS or (
        part.content_type.startswith("text/") and part.filename is None and not part.alternatives
    )
    return is_of_words and not part.is_attachment


def _last_alternatives(parts: list[Part]) -> dict[tuple[int, str], int]:
    """Which part of a container is shown of those of one type: the last is the best (RFC 2046 §5.1.4) that holds anything."""
    last: dict[tuple[int, str], int] = {}
    for part in filter(_is_text, parts):
        for container, position in part.alternatives:
            if part.content.strip() or (container, part.content_type) not in last:
                last[container, part.content_type] = position
    return last


def _join(
    pieces: list[_Piece],
    attachments: tuple[ParsedAttachment, ...],
    report: DeliveryReport | None,
    returned_id: str | None,
    limits: ParserLimits,
) -> Body:
    plain = ["\n\n".join(filter(None, piece.plain or piece.enriched)) for piece in pieces]
    html = None
    if any(piece.html for piece in pieces):
        # Apple Mail writes a text, a file and the rest of the text as HTML of its own each.
        html = "<br>\n".join(
            "<br>\n".join(piece.html or _as_html(piece.plain or piece.enriched)) for piece in pieces
        )
    safe = make_safe(html) if html is not None else None
    limits.was_reached |= safe is not None and safe.was_cut
    if safe is None or not any(plain):
        text = "\n\n".join(filter(None, plain)) or (safe.text if safe is not None else "")
    elif all(words or not piece.html for words, piece in zip(plain, pieces, strict=True)):
        text = "\n\n".join(filter(None, plain))
    else:
        both = (
            words or make_safe("<br>".join(piece.html)).text
            for words, piece in zip(plain, pieces, strict=True)
        )
        text = "\n\n".join(filter(None, both))
    limits.was_reached |= len(text) > MAX_TEXT_CHARS
    text = text[:MAX_TEXT_CHARS]
    return Body(text, text if any(plain) else None, html, safe, attachments, report, returned_id)


def _as_html(plain: list[str]) -> list[str]:
    return [escape(text).replace("\n", "<br>\n") for text in plain]


def _read_text(part: Part, max_chars: int, limits: ParserLimits) -> str:
    kept = part.content[: (max_chars + 1) * _MAX_BYTES_OF_CHAR]
    if part.content_type == "text/html":
        text = decode_text(
            kept, part.charset if codec_of(part.charset) is not None else _charset_in_html(kept)
        )
    else:
        text = decode_text(kept, part.charset)
        if part.content_type != "text/plain":
            text = _without_commands(text)
        elif part.flowing is not None:
            text = _unflow(text, part.flowing)
        text = clean_text(text)
    limits.was_reached |= len(text) > max_chars or len(kept) < len(part.content)
    return text[:max_chars]


def _charset_in_html(content: bytes) -> str | None:
    found = _META_CHARSET.search(content[:_HEAD_OF_HTML_BYTES])
    return (found.group(1) or found.group(2)).decode("ascii", "replace") if found is not None else None


def _without_commands(text: str) -> str:
    """The words of `text/enriched`: a line end is a blank, of several all but one are line ends."""

    def meaning(command: re.Match[str]) -> str:
        match command.group():
            case "<<":
                return "<"
            case "\n":
                return " "
            case ends if ends.startswith("\n"):
                return ends[1:]
            case _:
                return ""

    return _ENRICHED.sub(meaning, text.replace("\r\n", "\n"))


def _unflow(text: str, flowing: str) -> str:
    """The paragraphs of a text whose lines flow (RFC 3676 §4.2): a blank at a line's end goes on in the next."""
    paragraphs: list[tuple[int, list[str]]] = []
    flows = False
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        depth = _end_of_marks(line)
        content = line[depth:].removeprefix(" ")
        if flows and paragraphs[-1][0] == depth and content != "-- ":
            paragraphs[-1][1].append(content)
        else:
            paragraphs.append((depth, [content]))
        flows = content.endswith(" ") and content != "-- "
        if flows and flowing == "delsp":
            paragraphs[-1][1][-1] = content[:-1]
    return "\n".join(">" * depth + (" " if depth else "") + "".join(lines) for depth, lines in paragraphs)


def _end_of_marks(line: str) -> int:
    marks = _QUOTE_MARKS.match(line)
    return marks.end() if marks is not None else 0


def _attachment(part: Part) -> ParsedAttachment:
    return ParsedAttachment(
        filename=part.filename,
        content_type=part.content_type,
        content=part.content,
        sniffed_type=sniff(part.content),
        content_id=part.content_id,
        # An `attachment` is offered for download, even if the text names it (RFC 2183 §2.2).
        is_inline=part.content_id is not None and not part.is_attachment,
    )
