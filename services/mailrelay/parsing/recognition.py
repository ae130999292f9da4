"""What a mail is and which words are the buyer's. Guesses nothing: what is not certain is shown whole."""

import re
from dataclasses import dataclass

from services.mailrelay.parsing.mailboxes import Mailbox
from services.mailrelay.parsing.patterns import (
    CLOSING_MARKERS,
    FRAME_SIGNS,
    NOTICES,
    OPENING_MARKERS,
    SYSTEM_SENDERS,
    MailKind,
)
from services.mailrelay.parsing.safe_html import SafeHtml
from shared.marketplaces import BY_BUYER_MAIL_DOMAIN, BY_ID, MARKETPLACES, Marketplace

# More than one is rare, more than this is no question about orders.
MAX_ORDER_IDS = 20

_BY_RETAIL_DOMAIN = {m.retail_domain: m for m in MARKETPLACES}
_SELLER_CENTRAL = sorted({m.seller_central_host for m in MARKETPLACES} | {f"sellercentral.{m.retail_domain}" for m in MARKETPLACES})  # fmt: skip

_ORDER_ID = re.compile(r"(?<![0-9A-Za-z-])[0-9]{3}-[0-9]{7}-[0-9]{7}(?![0-9A-Za-z-])")
_TAG = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|A[0-9A-Z]{9,40}"
_IS_TAG = re.compile(_TAG)
_CASE_LINK = re.compile(
    rf"https://(?:{'|'.join(re.escape(host) for host in _SELLER_CENTRAL)})/messaging/inbox\?([^\s\"'<>]{{1,500}})"
)
_CASE_ID = re.compile(rf"(?:^|[&;])ss=({_TAG})(?=&|$)")
_END_OF_PRE = re.compile(r"</pre\s*>", re.IGNORECASE)
_BUYER_LOCAL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Buyer:
    """A buyer as Amazon lets him be seen: the anonymised address, and the tag of the thread if it names one."""

    address: str
    thread_tag: str | None
    name: str | None
    marketplace: Marketplace


@dataclass(frozen=True, slots=True)
class Words:
    """The buyer's own words, with the frame that Amazon wrote around them."""

    text: str
    html: str | None
    frame: str


def is_amazon(sender: Mailbox) -> bool:
    """Whether the address is in a domain of Amazon's, compared whole; nothing about authenticity."""
    return sender.domain in BY_BUYER_MAIL_DOMAIN or sender.domain in _BY_RETAIL_DOMAIN


def country_of(sender: Mailbox, marketplace_id: str | None) -> str | None:
    """The country of an Amazon sender. amazon.com writes for other countries too: then the mail's own mark counts."""
    from_buyer_domain = BY_BUYER_MAIL_DOMAIN.get(sender.domain)
    if from_buyer_domain is not None:
        return from_buyer_domain.country
    from_retail_domain = _BY_RETAIL_DOMAIN.get(sender.domain)
    if from_retail_domain is None:
        return None
    return BY_ID.get((marketplace_id or "").strip(), from_retail_domain).country


def find_buyer(sender: Mailbox, reply_to: Mailbox | None) -> Buyer | None:
    """The buyer, from an Amazon sender's own address or the address it wants answers at; the tag from either."""
    boxes = [sender] if reply_to is None else [sender, reply_to]
    found = [buyer for buyer in map(_as_buyer, boxes) if buyer is not None]
    if not found:
        return None
    first = found[0]
    tags = [
        buyer.thread_tag for buyer in found if buyer.thread_tag is not None and buyer.address == first.address
    ]
    return Buyer(first.address, tags[0] if tags else None, sender.name or first.name, first.marketplace)


def _as_buyer(mailbox: Mailbox) -> Buyer | None:
    marketplace = BY_BUYER_MAIL_DOMAIN.get(mailbox.domain)
    local, _, tag = mailbox.local.partition("+")
    local = local.lower()
    if marketplace is None or local in SYSTEM_SENDERS or _BUYER_LOCAL.fullmatch(local) is None:
        return None
    return Buyer(
        f"{local}@{mailbox.domain}", tag if _IS_TAG.fullmatch(tag) else None, mailbox.name, marketplace
    )


def find_order_ids(*texts: str | None) -> tuple[str, ...]:
    """Order ids in the order in which they appear, each once."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _ORDER_ID.finditer(text or ""):
            found.setdefault(match.group())
            if len(found) == MAX_ORDER_IDS:
                return tuple(found)
    return tuple(found)


def find_words(plain: str | None, safe: SafeHtml | None, raw_html: str) -> Words | None:
    """The buyer's words where Amazon's frame is recognised for certain, else None."""
    pre = safe.only_pre if safe is not None else None
    between = _between_markers(plain) if plain is not None else None
    if between is not None:
        text, frame = between
        return Words(text, pre.html if pre is not None and _same_words(pre.text, text) else None, frame)
    if pre is None or not any(sign in raw_html.casefold() for sign in FRAME_SIGNS):
        return None
    # Markers in a language that we do not know: the <pre> is certain if the text part holds the same words.
    if plain is not None and _squeeze(pre.text) not in _squeeze(plain):
        return None
    return Words(pre.text, pre.html, _END_OF_PRE.split(raw_html)[-1])


def _between_markers(plain: str) -> tuple[str, str] | None:
    lines = plain.split("\n")
    # A buyer may quote the markers: Amazon's own are the first opening and the last closing one.
    opening = next((i for i, line in enumerate(lines) if _marker(line) in OPENING_MARKERS), None)
    closing = next((i for i in range(len(lines) - 1, -1, -1) if _marker(lines[i]) in CLOSING_MARKERS), None)
    if opening is None or closing is None or closing <= opening:
        return None
    return "\n".join(lines[opening + 1 : closing]).strip(), "\n".join(lines[:opening] + lines[closing + 1 :])


def _marker(line: str) -> str | None:
    if not (line.startswith("-----") and line.endswith("-----")):
        return None
    return line.strip("-").strip().rstrip(":").rstrip().casefold()


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _same_words(one: str, other: str) -> bool:
    return _squeeze(one) == _squeeze(other)


def find_case_tag(frame: str) -> str | None:
    """The thread's tag in Amazon's link below the message; only ever searched in the frame, never in a buyer's words."""
    for link in _CASE_LINK.finditer(frame):
        case = _CASE_ID.search(link.group(1).replace("&amp;", "&"))
        if case is not None:
            return case.group(1)
    return None


def notice_kind(sender: Mailbox, subject: str | None, text: str) -> MailKind:
    """Which notice an Amazon sender other than a buyer has written: two signs of three, else `other`."""
    local, folded_subject, folded_text = sender.local.lower(), _fold(subject or ""), _fold(text)
    for notice in NOTICES:
        signs = (
            local in notice.senders,
            any(phrase in folded_subject for phrase in notice.subject),
            any(phrase in folded_text for phrase in notice.text),
        )
        if sum(signs) >= 2:
            return notice.kind
    return MailKind.OTHER


def _fold(text: str) -> str:
    return text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
