"""Parses one accepted mail, as far as it can be parsed. Other rooms use this room through these functions.

Pure: bytes in, values out, no exception for any bytes. A mail that cannot be parsed comes back as `unparseable`, with everything
that could be read. Whether the mail is authentic is decided before: nothing here is proof.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from services.mailrelay.parsing.body import Body, ParsedAttachment, read_body
from services.mailrelay.parsing.claims import single_sender
from services.mailrelay.parsing.formatting import has_formatting
from services.mailrelay.parsing.kinds import (
    Recognised,
    recognise_message,
    recognise_notice,
    recognise_report,
)
from services.mailrelay.parsing.mailboxes import MAX_NAME_CHARS, Mailbox, read_mailboxes
from services.mailrelay.parsing.patterns import WORDING, MailKind, Wording
from services.mailrelay.parsing.quoting import split_history, without_quotes
from services.mailrelay.parsing.recognition import (
    Buyer,
    BuyerText,
    country_of,
    find_asin,
    find_buyer,
    find_buyer_text,
    find_case_tag,
    find_order_ids,
    find_thread_id,
    is_amazon,
)
from services.mailrelay.parsing.structure import (
    Header,
    ParserLimits,
    is_report,
    read_head,
)
from shared.language_detection import language_of
from shared.sniffing import sniff

__all__ = ["PARSER_VERSION", "MailKind", "ParsedAttachment", "ParsedMail", "parse_mail"]

# Raised with each change of what is parsed, or of the words by which it is found: `reprocess` runs the newer version over older mail.
PARSER_VERSION: Final = 8
# A thread of a hundred mails names the newest of them last, and first in In-Reply-To.
MAX_REFERENCES: Final = 50
MAX_REFERENCES_CHARS: Final = 20_000
MAX_REPORT_CHARS: Final = 1_000

# RFC 5322 §2.1.1 ends a line at 998 characters; a list shows the first hundred.
MAX_SUBJECT_CHARS = 998
_SOMETHING = re.compile(rb"\S")


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """What a mail says, as far as it was parsed.

    `is_excerpt`: `text` is the buyer's own words, taken out of Amazon's frame; else it is all that there was to read.
    `thread_tag`, `thread_id`: two signs of Amazon's for the thread; the first stands in addresses and links, the second in links.
    `quoted_text`: the history that the buyer quoted below their words, no longer in `text`.
    `has_formatting`: whether `html` shows more than `text` and its wrapping.
    `references`: the Message-IDs of the mails that it returns or answers, the surest first. `report_text`: of a failed delivery, the words that say why.
    `truncated`: not all is shown, the raw mail holds the rest.
    """

    kind: MailKind
    subject: str | None
    sender_name: str | None
    sender_address: str | None
    buyer_address: str | None
    buyer_name: str | None
    thread_tag: str | None
    thread_id: str | None
    order_ids: tuple[str, ...]
    asin: str | None
    country: str | None
    language: str | None
    failure_reason: str | None
    verification_code: str | None
    references: tuple[str, ...]
    report_text: str
    text: str
    is_excerpt: bool
    quoted_text: str | None
    html: str | None
    has_formatting: bool
    attachments: tuple[ParsedAttachment, ...]
    sent_at: datetime | None
    amazon_domain: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class _ParsedHeader:
    """What the header of the mail says, and where its body begins."""

    header: Header
    body_start: int
    subject: str | None
    sender_name: str | None
    sender_address: str | None
    amazon: Mailbox | None
    limits: ParserLimits


def parse_mail(raw: bytes) -> ParsedMail:
    """Parse a mail as it was accepted."""
    try:
        return parse_unguarded(raw)
    except Exception:  # noqa: BLE001 - a mail is shown whatever is in it (D8); a test holds that we never come here
        return parse_header_only(raw)


def parse_unguarded(raw: bytes, wording: Wording = WORDING) -> ParsedMail:
    """`parse_mail` without its safety net, so that tests see what would fall into it; and with less wording, so that they see
    what each entry of it is good for."""
    head = _read_header(raw)
    header, limits = head.header, head.limits
    if not header:
        # Without a header there is no body either: all is shown, if it is anything to read.
        is_text = sniff(raw).startswith("text/")
        return _unparseable(head, read_body(header, raw, 0, limits) if is_text else None)

    body = read_body(header, raw, head.body_start, limits)
    all_text = body.text
    # A message that looks empty and is not: delimiters in an order that hides all, for one.
    limits.was_reached |= not all_text and not body.attachments and _holds_something(raw, head.body_start)
    amazon = head.amazon
    buyer = None if amazon is None or is_report(header) else find_buyer(amazon, _reply_to(header), wording)
    excerpt = find_buyer_text(body.plain, body.safe, body.html or "", wording) if buyer is not None else None
    if excerpt is not None and not excerpt.text and not body.attachments:
        excerpt = None  # nobody sends nothing: it stands somewhere else
    own, quoted = split_history(excerpt.text, wording) if excerpt is not None else (all_text, None)
    recognised = _recognise(head, body, buyer, own, wording)
    language = _language(head, own, buyer, recognised, wording)
    html = _html(body, excerpt, quoted)
    country = country_of(amazon, header.text("x-marketplace-id")) if amazon is not None else None
    return ParsedMail(
        kind=recognised.kind,
        subject=head.subject,
        sender_name=head.sender_name,
        sender_address=head.sender_address,
        buyer_address=buyer.address if buyer is not None else None,
        buyer_name=buyer.name if buyer is not None else None,
        thread_tag=_thread_tag(buyer, excerpt),
        thread_id=find_thread_id(excerpt.frame) if excerpt is not None else None,
        order_ids=find_order_ids(head.subject, all_text),
        asin=find_asin(excerpt.frame if excerpt is not None else all_text) if amazon is not None else None,
        country=country,
        language="pt-BR" if language == "pt" and country == "BR" else language,
        failure_reason=recognised.failure_reason,
        verification_code=recognised.verification_code,
        references=_references(header, body.returned_id),
        report_text=_report_text(recognised.kind, body, own),
        text=own,
        is_excerpt=excerpt is not None,
        quoted_text=quoted,
        html=html,
        has_formatting=has_formatting(html, own),
        attachments=body.attachments,
        sent_at=_sent_at(header),
        amazon_domain=amazon is not None,
        truncated=limits.was_reached,
    )


def _recognise(
    head: _ParsedHeader, body: Body, buyer: Buyer | None, own: str, wording: Wording
) -> Recognised:
    if is_report(head.header):
        return recognise_report(body.report, wording)
    if buyer is not None:
        return recognise_message(head.header, head.subject, own, wording)
    if head.amazon is not None:
        return recognise_notice(head.amazon, head.subject, own, wording)
    return Recognised(MailKind.OTHER)


def _language(
    head: _ParsedHeader, own: str, buyer: Buyer | None, recognised: Recognised, wording: Wording
) -> str | None:
    """The language of a buyer's own words, whatever Amazon wrote around them; of any other mail its text's, else its subject's."""
    # A known wording is surer than a few words of it.
    words = recognised.language or language_of(without_quotes(own, wording), wording.signs_of_languages)
    return (
        words if buyer is not None else words or language_of(head.subject or "", wording.signs_of_languages)
    )


def _holds_something(raw: bytes, body_start: int) -> bool:
    return _SOMETHING.search(raw, body_start) is not None


def _html(body: Body, excerpt: BuyerText | None, quoted: str | None) -> str | None:
    if excerpt is not None:
        # With a history taken off, the text alone is the buyer's own.
        return excerpt.html if quoted is None else None
    return body.safe.html if body.safe is not None else None


def parse_header_only(raw: bytes) -> ParsedMail:
    """Parse only the header, where the body cannot be read, or not in time: sender and subject are better than nothing (D8)."""
    return _unparseable(_read_header(raw))


def _unparseable(head: _ParsedHeader, body: Body | None = None) -> ParsedMail:
    return ParsedMail(
        kind=MailKind.UNPARSEABLE,
        subject=head.subject,
        sender_name=head.sender_name,
        sender_address=head.sender_address,
        buyer_address=None,
        buyer_name=None,
        thread_tag=None,
        thread_id=None,
        order_ids=find_order_ids(head.subject, body.text if body is not None else None),
        asin=None,
        country=None,
        language=None,
        failure_reason=None,
        verification_code=None,
        references=(),
        report_text="",
        text=body.text if body is not None else "",
        is_excerpt=False,
        quoted_text=None,
        html=None,
        has_formatting=False,
        attachments=body.attachments if body is not None else (),
        sent_at=_sent_at(head.header),
        amazon_domain=head.amazon is not None,
        truncated=head.limits.was_reached,
    )


def _read_header(raw: bytes) -> _ParsedHeader:
    limits = ParserLimits()
    head = read_head(raw)
    limits.was_reached = head.is_cut
    header = Header(head.fields)
    senders = read_mailboxes(header.raw("from") or "")
    single = single_sender(header)
    return _ParsedHeader(
        header=header,
        body_start=head.body_start,
        subject=_subject(header, limits),
        # A From that is not readable for certain is shown as it stands (D8); it is never used as an address.
        sender_name=senders[0].name if senders else (header.text("from") or "")[:MAX_NAME_CHARS] or None,
        sender_address=senders[0].address if senders else None,
        amazon=single if single is not None and is_amazon(single) else None,
        limits=limits,
    )


def _subject(header: Header, limits: ParserLimits) -> str | None:
    subject = header.text("subject")
    if subject is not None and len(subject) > MAX_SUBJECT_CHARS:
        limits.was_reached = True
        return subject[:MAX_SUBJECT_CHARS]
    return subject


def _reply_to(header: Header) -> Mailbox | None:
    boxes = read_mailboxes(header.raw("reply-to") or "")
    return boxes[0] if header.count("reply-to") == 1 and len(boxes) == 1 else None


def _thread_tag(buyer: Buyer | None, excerpt: BuyerText | None) -> str | None:
    if buyer is None or buyer.thread_tag is not None:
        return buyer.thread_tag if buyer is not None else None
    return find_case_tag(excerpt.frame) if excerpt is not None else None


def _references(header: Header, returned_id: str | None) -> tuple[str, ...]:
    """The mails that this one returns, answers and names (RFC 5322 §3.6.4), as they stand: the surest first, then the newest."""
    returned, answered, named = (
        (value or "")[-MAX_REFERENCES_CHARS:].split()
        for value in (returned_id, header.raw("in-reply-to"), header.raw("references"))
    )
    found = (*returned, *answered, *reversed(named))
    return tuple(dict.fromkeys(each for each in found if "@" in each))[:MAX_REFERENCES]


def _report_text(kind: MailKind, body: Body, own: str) -> str:
    """Of a failed delivery, why: what the other server said, or Amazon's words."""
    if kind is not MailKind.DELIVERY_FAILURE:
        return ""
    if body.report is not None and body.report.diagnostic:
        return body.report.diagnostic[:MAX_REPORT_CHARS]
    return own[:MAX_REPORT_CHARS]


def _sent_at(header: Header) -> datetime | None:
    value = header.text("date")
    if value is None:
        return None
    try:
        # `-0000` gives no zone: the time is UTC (RFC 5322 §3.3).
        sent_at = parsedate_to_datetime(re.sub(r"[^\x20-\x7e]", "", value[:100]))
        return (sent_at if sent_at.tzinfo is not None else sent_at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
