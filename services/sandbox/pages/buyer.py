"""Be the buyer: choose store, country and order, write, and see what the relay answered."""

from html import escape
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData, UploadFile

from services.sandbox.dependencies import Language, LanguageDep, MailSenderDep, SandboxDep
from services.sandbox.html_page import hidden, not_found, option, page
from services.sandbox.mail.buyer_mail import (
    FORWARDING_MAILBOX,
    MAX_ATTACHMENTS,
    MAX_TEXT_CHARS,
    BuyerMessage,
    Forgery,
    MessageWrong,
    make_code,
)
from services.sandbox.mail.mail_templates import KINDS, template_language
from services.sandbox.mail.sender import MailState, NoAddress, SentMail
from services.sandbox.pages.buying import buying_forms, buying_notice
from services.sandbox.seller_central.notification_preferences import NOTIFICATION_PREFERENCES_PATH
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.sellers import Seller, language_of
from services.sandbox.state.threads import File
from shared.marketplaces import BY_COUNTRY

router = APIRouter()

BUYER_PATH: Final = "/buyer"
THREAD_PATH: Final = "/buyer/thread"
_REFRESH_SECONDS: Final = 2
_MAX_THREAD_LINKS: Final = 50
_MAX_ORDERS: Final = 1_000

_TEXTS: Final = {
    "de": {
        "title": "Käufer sein",
        "which": "Bei welchem Store haben Sie gekauft? Wählen Sie das Land, in dem Sie bestellt haben.",
        "order": "Bestellung",
        "kind": "Worum geht es?",
        "message": "Nachricht",
        "attachment": "Anhänge (höchstens fünf, zusammen 10 MB)",
        "send": "Senden",
        "goes_to": "Die Nachricht geht an:",
        "no_address": "Für {country} hat {store} noch keine Adresse eingetragen, deshalb geht keine Nachricht hinaus. "
        "Tragen Sie in Seller Central unter Benachrichtigungseinstellungen, Messaging, Käufernachrichten eine ein:",
        "preferences": "Benachrichtigungseinstellungen öffnen",
        "wrong": "Die Nachricht wurde nicht gesendet:",
        "mail": "Nachricht an {to}",
        "state": "Stand",
        "reply": "Antwort des Servers",
        "none": "keine",
        "attempts": "Versuche",
        "thread": "Ihre Nachrichten zu Bestellung {order_id}",
        "again": "Noch eine Nachricht schreiben",
        "forgery": "Wer schreibt?",
        "verification": "Amazon selbst",
        "verification_what": "Seller Central prüft eine neue Adresse mit einer E-Mail, in der ein Code steht.",
        "verification_send": "Bestätigungs-E-Mail senden",
    },
    "en": {
        "title": "Be the buyer",
        "which": "Which store did you buy from? Choose the country in which you ordered.",
        "order": "Order",
        "kind": "What is it about?",
        "message": "Message",
        "attachment": "Attachments (five at most, 10 MB together)",
        "send": "Send",
        "goes_to": "The message goes to:",
        "no_address": "{store} has entered no address for {country} yet, so no message leaves. Enter one in Seller Central "
        "under Notification Preferences, Messaging, Buyer Messages:",
        "preferences": "Open Notification Preferences",
        "wrong": "The message was not sent:",
        "mail": "Message to {to}",
        "state": "State",
        "reply": "The server's reply",
        "none": "none",
        "attempts": "Attempts",
        "thread": "Your messages about order {order_id}",
        "again": "Write another message",
        "forgery": "Who writes?",
        "verification": "Amazon itself",
        "verification_what": "Seller Central checks a new address with a mail that tells a code.",
        "verification_send": "Send the verification mail",
    },
}
_KINDS: Final = {
    "de": ("Produkt", "Lieferung", "Rückgabe", "Rechnung", "Anderes"),
    "en": ("Product", "Shipping", "Return", "Invoice", "Something else"),
}
_FORGERIES: Final = {
    "de": {
        "": "der Käufer, über Amazon",
        Forgery.UNSIGNED: "ein Fälscher mit Amazons Absender, ohne Amazons Signatur",
        Forgery.LOOKALIKE: "ein Fälscher mit einer Domain, die Amazons ähnlich sieht",
        Forgery.FORWARDED: f"Amazon an {FORWARDING_MAILBOX}, und das Postfach leitet weiter",
    },
    "en": {
        "": "the buyer, through Amazon",
        Forgery.UNSIGNED: "a forger with Amazon's sender, without Amazon's signature",
        Forgery.LOOKALIKE: "a forger with a domain that looks like Amazon's",
        Forgery.FORWARDED: f"Amazon to {FORWARDING_MAILBOX}, and that mailbox forwards it",
    },
}
_STATES: Final = {
    "de": {
        MailState.SENDING: "wird gesendet",
        MailState.RETRYING: "noch nicht angenommen, wird wiederholt",
        MailState.DELIVERED: "zugestellt",
        MailState.REFUSED: "abgelehnt",
        MailState.GIVEN_UP: "nach mehreren Versuchen aufgegeben",
    },
    "en": {
        MailState.SENDING: "being sent",
        MailState.RETRYING: "not accepted yet, will be tried again",
        MailState.DELIVERED: "delivered",
        MailState.REFUSED: "refused",
        MailState.GIVEN_UP: "given up after several attempts",
    },
}
_PROBLEMS: Final = {
    "de": {
        "text_empty": "Sie ist leer.",
        "text_too_long": f"Sie ist länger als {MAX_TEXT_CHARS} Zeichen.",
        "too_many_attachments": "Zu viele Anhänge.",
        "attachments_too_large": "Die Anhänge sind zusammen größer als 10 MB.",
        "order_unknown": "Diese Bestellung gibt es nicht.",
    },
    "en": {
        "text_empty": "It is empty.",
        "text_too_long": f"It is longer than {MAX_TEXT_CHARS} characters.",
        "too_many_attachments": "Too many attachments.",
        "attachments_too_large": "Together the attachments are larger than 10 MB.",
        "order_unknown": "There is no such order.",
    },
}


@router.get(BUYER_PATH)
async def buyer_page(
    language: LanguageDep,
    sandbox: SandboxDep,
    *,
    seller_id: str = "",
    country: str = "",
    order_id: str = "",
    done: str = "",
) -> Response:
    seller = sandbox.sellers.get(seller_id)
    if seller is None or country not in seller.countries:
        return _choose_store(language, sandbox)
    notice = buying_notice(language, done, order_id)
    return _show_form(language, seller, country, order_id=order_id, notice=notice)


@router.post(BUYER_PATH)
async def send(
    request: Request, language: LanguageDep, sandbox: SandboxDep, sender: MailSenderDep
) -> Response:
    async with request.form(max_files=MAX_ATTACHMENTS + 1, max_fields=10, max_part_size=64 * 1024) as form:
        attachments = await _attachments(form)
    seller = sandbox.sellers.get(str(form.get("seller_id", "")))
    country = str(form.get("country", ""))
    if seller is None or country not in seller.countries:
        raise HTTPException(404)
    order = seller.order(str(form.get("order_id", "")))
    text = str(form.get("message", ""))
    if order is None or order.country != country:
        return _show_form(language, seller, country, text=text, problem="order_unknown")
    kind = str(form.get("kind", ""))
    message = BuyerMessage(
        order=order,
        # Browsers send CRLF for each line end, which would count twice.
        text=text.replace("\r\n", "\n"),
        kind=kind if kind in KINDS else "other",
        language=template_language(language_of(BY_COUNTRY[country])),
        attachments=attachments,
        forgery=_forgery(str(form.get("forgery", ""))),
    )
    try:
        mails = await sender.send(seller, message, quoting=form.get("quoting") == "yes")
    except NoAddress:
        return _show_form(language, seller, country, text=text, order_id=order.order_id, status=409)
    except MessageWrong as error:
        return _show_form(language, seller, country, text=text, order_id=order.order_id, problem=error.code)
    return _to_sent_page(mails)


@router.post(f"{BUYER_PATH}/verification")
async def send_verification(
    request: Request, language: LanguageDep, sandbox: SandboxDep, sender: MailSenderDep
) -> Response:
    async with request.form(max_fields=10) as form:
        seller = sandbox.sellers.get(str(form.get("seller_id", "")))
        country = str(form.get("country", ""))
    if seller is None or country not in seller.countries:
        raise HTTPException(404)
    try:
        mails = await sender.send_verification(seller, country, make_code())
    except NoAddress:
        return _show_form(language, seller, country, status=409)
    return _to_sent_page(mails)


def _to_sent_page(mails: list[SentMail]) -> Response:
    query = urlencode([("mail", mail.mail_id) for mail in mails])
    return RedirectResponse(f"{BUYER_PATH}/sent?{query}", 303)


def _forgery(name: str) -> Forgery | None:
    return Forgery(name) if name in set(Forgery) else None


@router.get(f"{BUYER_PATH}/sent")
async def sent_page(request: Request, language: LanguageDep, sender: MailSenderDep) -> Response:
    wanted = request.query_params.getlist("mail")[:20]
    mails = [sender.mails[mail_id] for mail_id in wanted if mail_id in sender.mails]
    if not mails:
        return not_found(language)
    texts = _TEXTS[language]
    query = urlencode(
        {"seller_id": mails[0].seller_id, "country": mails[0].country, "order_id": mails[0].order_id}
    )
    again = f'<p><a id="again" href="{BUYER_PATH}?{escape(query)}">{texts["again"]}</a></p>'
    if mails[0].order_id:
        again += f"<p>{_thread_link(language, mails[0].order_id)}</p>"
    body = "".join(_show_mail(language, mail, number) for number, mail in enumerate(mails, start=1)) + again
    waiting = any(mail.state is MailState.RETRYING for mail in mails)
    return page(language, texts["title"], body, refresh_seconds=_REFRESH_SECONDS if waiting else None)


def _thread_link(language: Language, order_id: str) -> str:
    label = _TEXTS[language]["thread"].format(order_id=escape(order_id))
    return f'<a id="thread-{escape(order_id)}" href="{THREAD_PATH}?order_id={escape(order_id)}">{label}</a>'


def _show_mail(language: Language, mail: SentMail, number: int) -> str:
    texts = _TEXTS[language]
    suffix = "" if number == 1 else f"-{number}"
    reply = escape(" ".join(str(part) for part in (mail.reply_code, mail.reply) if part)) or texts["none"]
    return f"""<h2>{texts["mail"].format(to=escape(mail.to))}</h2>
<dl><dt>{texts["state"]}</dt><dd id="state{suffix}" data-state="{mail.state}" role="status">{_STATES[language][mail.state]}</dd>
<dt>{texts["reply"]}</dt><dd id="reply{suffix}"><code>{reply}</code></dd>
<dt>{texts["attempts"]}</dt><dd>{mail.attempts}</dd>
<dt>Message-ID</dt><dd><code>{escape(mail.message_id)}</code></dd></dl>"""


async def _attachments(form: FormData) -> tuple[File, ...]:
    uploads = [
        upload for upload in form.getlist("attachment") if isinstance(upload, UploadFile) and upload.filename
    ]
    attachments = []
    for upload in uploads:
        media_type = (upload.content_type or "application/octet-stream").partition(";")[0].strip().lower()
        attachments.append(File(upload.filename or "", media_type, await upload.read()))
    return tuple(attachments)


def _choose_store(language: Language, sandbox: Sandbox) -> Response:
    texts = _TEXTS[language]
    stores = "".join(
        f"<h2>{escape(seller.store_name)}</h2><ul>"
        + "".join(
            f'<li><a id="store-{seller.seller_id}-{country}" '
            f'href="{BUYER_PATH}?seller_id={seller.seller_id}&amp;country={country}">'
            f"{BY_COUNTRY[country].retail_domain}</a></li>"
            for country in seller.countries
        )
        + "</ul>"
        for seller in sandbox.sellers.values()
    )
    return page(language, texts["title"], f"<p>{texts['which']}</p>{stores}")


def _show_form(
    language: Language,
    seller: Seller,
    country: str,
    *,
    text: str = "",
    order_id: str = "",
    notice: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    texts = _TEXTS[language]
    addresses = seller.addresses_in(country)
    orders = "".join(
        option(
            order.order_id,
            f"{order.order_id} · {order.buyer_name} · {order.quantity} x {order.product}",
            selected=order.order_id == order_id,
        )
        for order in seller.orders_in(country)[-_MAX_ORDERS:]
    )
    threads = "".join(
        f"<li>{_thread_link(language, order.order_id)}</li>"
        for order in seller.orders_in(country)[-_MAX_THREAD_LINKS:]
    )
    kinds = "".join(option(kind, label) for kind, label in zip(KINDS, _KINDS[language], strict=True))
    forgeries = "".join(option(forgery, label) for forgery, label in _FORGERIES[language].items())
    warning = ""
    if problem:
        reason = _PROBLEMS[language].get(problem, problem)
        warning = f'<p class="wrong" role="alert">{texts["wrong"]} {escape(reason)}</p>'
    if addresses:
        where = f'<p class="note">{texts["goes_to"]} <code>{escape(", ".join(addresses))}</code></p>'
    else:
        where = _no_address(language, seller, country)
    body = f"""{notice}{warning}{where}
<form method="post" action="{BUYER_PATH}" enctype="multipart/form-data">
{hidden(seller_id=seller.seller_id, country=country)}
<label for="order_id">{texts["order"]}</label><select id="order_id" name="order_id" required>{orders}</select>
<label for="kind">{texts["kind"]}</label><select id="kind" name="kind">{kinds}</select>
<label for="message">{texts["message"]}</label>
<textarea id="message" name="message" rows="8" required maxlength="{MAX_TEXT_CHARS}">{escape(text)}</textarea>
<label for="forgery">{texts["forgery"]}</label><select id="forgery" name="forgery">{forgeries}</select>
<label for="attachment">{texts["attachment"]}</label><input type="file" id="attachment" name="attachment" multiple>
<button class="main" id="send" type="submit">{texts["send"]}</button></form>
<ul>{threads}</ul>{buying_forms(language, seller, country, orders)}
<h2>{texts["verification"]}</h2><p>{texts["verification_what"]}</p>
<form method="post" action="{BUYER_PATH}/verification">{hidden(seller_id=seller.seller_id, country=country)}
<button id="send-verification" type="submit">{texts["verification_send"]}</button></form>"""
    place = f"{seller.store_name} · {BY_COUNTRY[country].retail_domain}"
    return page(language, texts["title"], body, place=place, status=422 if problem else status)


def _no_address(language: Language, seller: Seller, country: str) -> str:
    texts = _TEXTS[language]
    host = BY_COUNTRY[country].seller_central_host
    link = f"/{host}{NOTIFICATION_PREFERENCES_PATH}?country={country}"
    sentence = texts["no_address"].format(store=escape(seller.store_name), country=country)
    return f'<p class="wrong" id="no-address">{sentence} <a href="{link}">{texts["preferences"]}</a></p>'
