"""The page that asks before a browser goes on to Amazon. A form without a script; everything that came from outside is text."""

from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlsplit

from services.connector.authorization.attempts import Question
from services.connector.authorization.consent import Application
from services.connector.http.language import Language
from services.connector.marketplaces.countries import country_name
from services.connector.web import plain_page
from shared.marketplaces import MARKETPLACES


@dataclass(frozen=True, slots=True)
class _Texts:
    title: str
    question: str
    known: str
    user: str
    country: str
    choose: str
    warning: str
    button: str
    refused: str
    refused_text: str
    start: str


_TEXTS: Final[dict[Language, _Texts]] = {
    Language.DE: _Texts(
        title="Diesen Store verbinden?",
        question="Amazon möchte das Verkäuferkonto {seller_id} mit „{account}“ bei Replyco verbinden.",
        known="Dieser Store ist hier schon bekannt: Seine Autorisierung wird erneuert, alles andere bleibt, wie es ist.",
        user="Angemeldet als {name} ({email}).",
        country="Land des Stores",
        choose="Bitte wählen",
        warning=(
            "Selbst gerade begonnen, und das eigene Verkäuferkonto? Dann geht es hier weiter. Wenn nicht, dieses Fenster einfach schließen: Es wird nichts verbunden."
        ),
        button="Weiter zu Amazon",
        refused="Dieser Link ist nicht von Amazon",
        refused_text=(
            "Die aufgerufene Adresse ist unvollständig oder verändert. Es wurde nichts verbunden. Bitte bei Amazon noch einmal beginnen, oder hier."
        ),
        start="Hier beginnen",
    ),
    Language.EN: _Texts(
        title="Connect this store?",
        question="Amazon asks to connect the seller account {seller_id} with “{account}” at Replyco.",
        known="This store is known here already: its authorization is renewed, and everything else stays as it is.",
        user="You are signed in as {name} ({email}).",
        country="Country of the store",
        choose="Please choose",
        warning=(
            "Have you just begun this yourself, and is this your seller account? Then go on. If not, close this window: nothing will "
            "be connected."
        ),
        button="Go on to Amazon",
        refused="This link is not from Amazon",
        refused_text=(
            "The address that brought you here is incomplete or changed. Nothing was connected. Start again at Amazon, or here."
        ),
        start="Start here",
    ),
}


def confirm_page(language: Language, question: Question, csrf_token: str) -> str:
    """HTML. Only its form, sent by the person who is asked, leads on."""
    texts = _TEXTS[language]
    told = [
        texts.question.format(seller_id=question.seller_id, account=question.account_name),
        texts.user.format(name=question.user_name, email=question.user_email),
        *([texts.known] if question.is_known else []),
        texts.warning,
    ]
    options = "".join(
        f'<option value="{marketplace.country}"{_selected(marketplace.country == question.country)}>'
        f"{escape(country_name(marketplace.country, language))}</option>"
        for marketplace in MARKETPLACES
    )
    return plain_page.document(
        language,
        texts.title,
        f"""{"".join(f"<p>{escape(text)}</p>" for text in told)}
<form method="post" class="form"><input type="hidden" name="csrf_token" value="{escape(csrf_token)}">
<div class="field"><label for="country">{texts.country}</label>
<select id="country" name="country" required><option value="">{texts.choose}</option>{options}</select></div>
<button class="button" type="submit">{texts.button}</button></form>""",
    )


def refused_page(language: Language) -> str:
    """The page (HTML) for somebody who came by a link that Amazon cannot have made."""
    texts = _TEXTS[language]
    return plain_page.plain_page(
        language, texts.refused, texts.refused_text, button=texts.start, url="/integrations/new?source=amazon"
    )


def headers(language: Language, application: Application) -> dict[str, str]:
    """The form leads to us and on to Amazon, which sends browsers over several hosts of its own."""
    amazon = "https:"
    if application.amazon_base_url is not None:
        base = urlsplit(application.amazon_base_url)
        amazon = f"{base.scheme}://{base.netloc}"
    policy = plain_page.HEADERS["Content-Security-Policy"].replace(
        "form-action 'none'", f"form-action 'self' {amazon}"
    )
    return plain_page.HEADERS | {"Content-Security-Policy": policy, "Content-Language": language.value}


def _selected(is_selected: bool) -> str:
    return " selected" if is_selected else ""
