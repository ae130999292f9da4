"""The buyer's view of one order: all that they and the seller wrote, with its files, and a form to answer."""

from html import escape
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Response

from services.sandbox.dependencies import LanguageDep, SandboxDep
from services.sandbox.html_page import hidden, not_found, page
from services.sandbox.mail.buyer_mail import MAX_TEXT_CHARS
from services.sandbox.pages.buyer import BUYER_PATH, THREAD_PATH
from services.sandbox.state.threads import Author
from services.sandbox.thread_html import FILES_PATH, thread_html
from shared.marketplaces import BY_COUNTRY

router = APIRouter()

_TEXTS: Final = {
    "de": {
        "title": "Ihre Nachrichten zu Bestellung {order_id}",
        "answer": "Antworten",
        "message": "Nachricht",
        "attachment": "Anhänge (höchstens fünf, zusammen 10 MB)",
        "quote": "Die Nachricht des Verkäufers darunter zitieren, wie es E-Mail-Programme tun",
        "send": "Senden",
    },
    "en": {
        "title": "Your messages about order {order_id}",
        "answer": "Answer",
        "message": "Message",
        "attachment": "Attachments (five at most, 10 MB together)",
        "quote": "Quote the seller's message below, as mail programs do",
        "send": "Send",
    },
}
_NAMES: Final = {
    "de": {
        Author.BUYER: "Sie",
        Author.SELLER_BY_MAIL: "Der Verkäufer, per E-Mail",
        Author.SELLER_CENTRAL: "Der Verkäufer, in Seller Central",
    },
    "en": {
        Author.BUYER: "You",
        Author.SELLER_BY_MAIL: "The seller, by e-mail",
        Author.SELLER_CENTRAL: "The seller, in Seller Central",
    },
}


@router.get(THREAD_PATH)
async def thread_page(language: LanguageDep, sandbox: SandboxDep, order_id: str = "") -> Response:
    found = sandbox.find_order(order_id)
    if found is None:
        return not_found(language)
    seller, order = found
    texts = _TEXTS[language]
    last = sandbox.threads.last_of_seller(order_id)
    # A mail program quotes what it shows; an answer given in Seller Central is nowhere else to be read.
    is_quoting = " checked" if last is not None and last.author is Author.SELLER_CENTRAL else ""
    body = f"""{thread_html(language, order_id, sandbox.threads.messages(order_id), _NAMES[language])}
<h2>{texts["answer"]}</h2><form method="post" action="{BUYER_PATH}" enctype="multipart/form-data">
{hidden(seller_id=seller.seller_id, country=order.country, order_id=order_id, kind="other")}
<label for="message">{texts["message"]}</label>
<textarea id="message" name="message" rows="6" required maxlength="{MAX_TEXT_CHARS}"></textarea>
<label for="attachment">{texts["attachment"]}</label><input type="file" id="attachment" name="attachment" multiple>
<label class="tick"><input type="checkbox" id="quoting" name="quoting" value="yes"{is_quoting}> {texts["quote"]}</label>
<button class="main" id="send" type="submit">{texts["send"]}</button></form>"""
    place = f"{seller.store_name} · {BY_COUNTRY[order.country].retail_domain} · {order.product}"
    return page(language, texts["title"].format(order_id=escape(order_id)), body, place=place)


@router.get(FILES_PATH + "/{order_id}/{message_key}/{number}")
async def file_of_message(
    order_id: str, message_key: str, number: int, language: LanguageDep, sandbox: SandboxDep
) -> Response:
    """A file is downloaded, never shown: anybody may have written it."""
    messages = sandbox.threads.messages(order_id)
    message = next((message for message in messages if message.message_key == message_key), None)
    if message is None or not 0 <= number < len(message.files):
        return not_found(language)
    file = message.files[number]
    name = quote(file.filename or "file", safe="", errors="replace")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(file.content, media_type="application/octet-stream", headers=headers)
