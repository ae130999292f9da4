"""Seller Profile: the addresses that buyers of one country are shown."""

from html import escape
from typing import Final

from fastapi import APIRouter, Request, Response

from services.sandbox.dependencies import Language, LanguageDep, SellerCentralHost
from services.sandbox.html_page import hidden
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.seller_page import (
    alert,
    countries_here,
    form_fields,
    links_to_other_hosts,
    own_country,
    redirect_saved,
    saved_notice,
    seller_page,
    wanted_country,
)
from services.sandbox.state.sellers import AddressWrong, Seller, bare_address

router = APIRouter()

SELLER_PROFILE_PATH: Final = "/sw/AccountInfo/SellerProfileView/step/SellerProfileView"


_TEXTS: Final = {
    "de": {
        "profile": "Verkäuferprofil",
        "service": "Details zum Kundenservice",
        "service_email": "Kundenservice-E-Mail",
        "reply_email": "Antwort-E-Mail",
        "submit": "Senden",
        "country": "Land: {country}",
    },
    "en": {
        "profile": "Seller Profile",
        "service": "Customer Service Details",
        "service_email": "Customer Service E-mail",
        "reply_email": "Customer Service Reply-to E-mail",
        "submit": "Submit",
        "country": "Country: {country}",
    },
}


@router.get("/{host}" + SELLER_PROFILE_PATH)
async def profile_page(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    return _show_profile(language, host, seller, wanted_country(request), saved_notice(request, language))


@router.post("/{host}" + SELLER_PROFILE_PATH)
async def save_profile(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    fields = await form_fields(request)
    country = own_country(seller, host, fields.get("country", ""))
    try:
        service_email = bare_address(fields.get("service_email", ""))
        reply_email = bare_address(fields.get("reply_email", ""))
    except AddressWrong:
        return _show_profile(language, host, seller, country, alert(language, "address_wrong"), status=422)
    profile = seller.profile_in(country)
    profile.service_email, profile.reply_email = service_email, reply_email
    return redirect_saved(host, SELLER_PROFILE_PATH, country)


def _show_profile(
    language: Language, host: str, seller: Seller, country: str, notice: str, *, status: int = 200
) -> Response:
    texts = _TEXTS[language]
    sections = []
    for own in countries_here(seller, host, country):
        profile = seller.profile_in(own)
        sections.append(f"""<h2 id="{own}">{texts["country"].format(country=own)}</h2>
<form method="post" action="/{host}{SELLER_PROFILE_PATH}">{hidden(country=own)}
<fieldset><legend>{texts["service"]}</legend>
<label for="service_email-{own}">{texts["service_email"]}</label>
<input type="email" id="service_email-{own}" name="service_email" value="{escape(profile.service_email)}" required>
<label for="reply_email-{own}">{texts["reply_email"]}</label>
<input type="email" id="reply_email-{own}" name="reply_email" value="{escape(profile.reply_email)}" required>
<button class="main" id="submit-{own}" type="submit">{texts["submit"]}</button></fieldset></form>""")
    body = notice + "".join(sections) + links_to_other_hosts(language, host, seller, SELLER_PROFILE_PATH)
    return seller_page(language, host, seller, texts["profile"], body, status=status)
