"""Who the buyer is, what their mail is about and which words are their own. Guesses nothing: where it is not certain, the full text is shown."""

import re
from dataclasses import dataclass, replace

from services.mailrelay.parsing.mailboxes import Mailbox
from services.mailrelay.parsing.patterns import Wording, fold
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
_PAGE_LINK = re.compile(
    rf"https://(?:{'|'.join(re.escape(host) for host in _SELLER_CENTRAL)})/[^\s\"'<>?]{{0,200}}\?([^\s\"'<>]{{1,500}})"
)
_LINK_PART = re.compile(r"(?:^|[&;])(t|m)=([A-Za-z0-9._:-]{6,100})(?=&|$)")
_CASE_ID = re.compile(rf"(?:^|[&;])ss=({_TAG})(?=&|$)")
_START_OF_PRE = re.compile(r"<pre[\s>]", re.IGNORECASE)
_END_OF_PRE = re.compile(r"</pre\s*>", re.IGNORECASE)
_ASIN = re.compile(r"\bASIN\s{0,2}[:\N{FULLWIDTH COLON}]\s{0,2}([0-9A-Z]{10})(?![0-9A-Za-z])")
_PRODUCT_LINK = re.compile(
    rf"https://(?:www\.)?(?:{'|'.join(map(re.escape, _BY_RETAIL_DOMAIN))})/(?:[^\s\"'<>/]{{1,200}}/)?(?:dp|gp/product)/([0-9A-Z]{{10}})(?![0-9A-Za-z])"
)
# The longest known has 45 letters.
_MAX_MARKER_CHARS = 120
_BUYER_LOCAL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Buyer:
    """A buyer as Amazon lets them be seen: the anonymised address, and the tag of the thread if it names one."""

    address: str
    thread_tag: str | None
    name: str | None
    marketplace: Marketplace


@dataclass(frozen=True, slots=True)
class BuyerText:
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


def find_buyer(sender: Mailbox, reply_to: Mailbox | None, wording: Wording) -> Buyer | None:
    """The buyer, from an Amazon sender's own address or the address it wants answers at; the tag from either."""
    boxes = [sender] if reply_to is None else [sender, reply_to]
    found = [buyer for box in boxes if (buyer := _as_buyer(box, wording)) is not None]
    if not found:
        return None
    first = found[0]
    tags = [
        buyer.thread_tag for buyer in found if buyer.thread_tag is not None and buyer.address == first.address
    ]
    return Buyer(first.address, tags[0] if tags else None, sender.name or first.name, first.marketplace)


def _as_buyer(mailbox: Mailbox, wording: Wording) -> Buyer | None:
    marketplace = BY_BUYER_MAIL_DOMAIN.get(mailbox.domain)
    local, _, tag = mailbox.local.partition("+")
    local = local.lower()
    if marketplace is None or local in wording.system_senders or _BUYER_LOCAL.fullmatch(local) is None:
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


def find_asin(text: str) -> str | None:
    """The one product that Amazon's part of a mail names, by label or by link; None if it names several."""
    found = {match.group(1) for pattern in (_ASIN, _PRODUCT_LINK) for match in pattern.finditer(text)}
    return found.pop() if len(found) == 1 else None


def find_buyer_text(
    plain: str | None, safe: SafeHtml | None, raw_html: str, wording: Wording
) -> BuyerText | None:
    """The buyer's words where Amazon's frame is recognised for certain, else None."""
    pre = safe.only_pre if safe is not None else None
    between = _between_markers(plain, wording) if plain is not None else None
    if between is not None:
        html = pre.html if pre is not None and _same_words(pre.text, between.text) else None
        return replace(between, html=html)
    if pre is None or not any(sign in raw_html.casefold() for sign in wording.frame_signs):
        return None
    # Markers in a language that we do not know: the <pre> is certain if the text part holds the same words.
    if plain is not None and _squeeze(pre.text) not in _squeeze(plain):
        return None
    frame = _START_OF_PRE.split(raw_html)[0] + "\n" + _END_OF_PRE.split(raw_html)[-1]
    return BuyerText(pre.text, pre.html, frame)


def _between_markers(plain: str, wording: Wording) -> BuyerText | None:
    lines = plain.split("\n")
    # A buyer may quote the markers: Amazon's own are the first opening and the last closing one.
    openings = (i for i, line in enumerate(lines) if _marker(line) in wording.opening_markers)
    closings = (i for i in range(len(lines) - 1, -1, -1) if _marker(lines[i]) in wording.closing_markers)
    opening, closing = next(openings, None), next(closings, None)
    if opening is None or closing is None or closing <= opening:
        return None
    return BuyerText(
        text="\n".join(lines[opening + 1 : closing]).strip(),
        html=None,
        frame="\n".join(lines[:opening] + lines[closing + 1 :]),
    )


def _marker(line: str) -> str:
    if len(line) > _MAX_MARKER_CHARS or not (line.startswith("-----") and line.endswith("-----")):
        return ""
    return fold(line.strip("-")).rstrip(": ")


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


def find_thread_id(frame: str) -> str | None:
    """Amazon's own id of the thread: `t=` in a link to Seller Central that names thread and message. Like `find_case_tag`, only in the frame."""
    for link in _PAGE_LINK.finditer(frame):
        parts = dict(_LINK_PART.findall(link.group(1).replace("&amp;", "&")))
        if len(parts) == 2:
            return str(parts["t"])
    return None
