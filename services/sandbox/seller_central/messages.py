"""Buyer-Seller Messages: the threads of a country, and a box in which the seller answers without a mail program.

Amazon's mails to sellers link to one of them with its tag: `/messaging/inbox?fi=caseId&ss=<tag>&cc=<tag>`.
"""

from html import escape
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import Language, LanguageDep, MailRoomDep, SandboxDep, SellerCentralHost
from services.sandbox.html_page import hidden
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.mail.buyer_mail import MAX_TEXT_CHARS
from services.sandbox.seller_central.seller_page import (
    countries_here,
    form_fields,
    links_to_other_hosts,
    saved_notice,
    seller_page,
    wanted_country,
)
from services.sandbox.state.sellers import Order, Seller
from services.sandbox.state.threads import Author, Threads
from services.sandbox.thread_html import thread_html

router = APIRouter()

MESSAGES_PATH: Final = "/messaging/inbox"

_TEXTS: Final = {
    "de": {
        "title": "Nachrichten",
        "none": "Aus diesem Land gibt es noch keine Nachrichten.",
        "country": "Land: {country}",
        "thread": "Nachrichten zu Bestellung {order_id}",
        "all": "Alle Nachrichten",
        "answer": "Antworten",
        "message": "Nachricht",
        "send": "Senden",
    },
    "en": {
        "title": "Messages",
        "none": "There are no messages from this country yet.",
        "country": "Country: {country}",
        "thread": "Messages about order {order_id}",
        "all": "All messages",
        "answer": "Answer",
        "message": "Message",
        "send": "Send",
    },
}
_NAMES: Final = {
    "de": {
        Author.BUYER: "Der Käufer",
        Author.SELLER_BY_MAIL: "Sie, per E-Mail",
        Author.SELLER_CENTRAL: "Sie, in Seller Central",
    },
    "en": {
        Author.BUYER: "The buyer",
        Author.SELLER_BY_MAIL: "You, by e-mail",
        Author.SELLER_CENTRAL: "You, in Seller Central",
    },
}


@router.get("/{host}" + MESSAGES_PATH)
async def messages_page(
    request: Request,
    seller: SignedInSeller,
    host: SellerCentralHost,
    language: LanguageDep,
    sandbox: SandboxDep,
) -> Response:
    tag = request.query_params.get("ss", "")
    if not tag:
        return _show_list(language, host, seller, wanted_country(request), sandbox.threads)
    order = _order_of(seller, host, tag)
    texts = _TEXTS[language]
    messages = sandbox.threads.messages(order.order_id)
    body = f"""{saved_notice(request, language)}
{thread_html(language, order.order_id, messages, _NAMES[language])}
<h2>{texts["answer"]}</h2><form method="post" action="/{host}{MESSAGES_PATH}">{hidden(ss=tag)}
<label for="message">{texts["message"]}</label>
<textarea id="message" name="message" rows="6" required maxlength="{MAX_TEXT_CHARS}"></textarea>
<button class="main" id="send" type="submit">{texts["send"]}</button></form>
<p><a href="/{host}{MESSAGES_PATH}?country={order.country}">{texts["all"]}</a></p>"""
    return seller_page(language, host, seller, texts["thread"].format(order_id=order.order_id), body)


@router.post("/{host}" + MESSAGES_PATH)
async def answer(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, mail_room: MailRoomDep
) -> Response:
    fields = await form_fields(request)
    order = _order_of(seller, host, fields.get("ss", ""))
    text = fields.get("message", "").replace("\r\n", "\n").strip()
    if not 0 < len(text) <= MAX_TEXT_CHARS:
        raise HTTPException(422)
    mail_room.answer_in_seller_central(seller, order, text)
    query = urlencode({"ss": order.thread_tag, "saved": "1"})
    return RedirectResponse(f"/{host}{MESSAGES_PATH}?{query}", 303)


def _order_of(seller: Seller, host: str, tag: str) -> Order:
    here = countries_here(seller, host, "")
    order = next(
        (known for known in seller.orders if known.thread_tag == tag and known.country in here), None
    )
    if order is None:
        raise HTTPException(404)
    return order


def _show_list(language: Language, host: str, seller: Seller, country: str, threads: Threads) -> Response:
    texts = _TEXTS[language]
    sections = []
    for own in countries_here(seller, host, country):
        rows = "".join(
            f'<li><a href="/{host}{MESSAGES_PATH}?ss={order.thread_tag}">{order.order_id}</a>, '
            f"{escape(order.buyer_name)}</li>"
            for order in seller.orders_in(own)
            if threads.messages(order.order_id)
        )
        shown = f"<ul>{rows}</ul>" if rows else f"<p>{texts['none']}</p>"
        sections.append(f'<h2 id="{own}">{texts["country"].format(country=own)}</h2>{shown}')
    body = "".join(sections) + links_to_other_hosts(language, host, seller, MESSAGES_PATH)
    return seller_page(language, host, seller, texts["title"], body)
