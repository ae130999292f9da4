"""The page on which sellers choose the optional columns of their order reports."""

from typing import Final

from fastapi import APIRouter, Request, Response

from services.sandbox.dependencies import LanguageDep, SellerCentralHost
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.seller_page import redirect_saved, saved_notice, seller_page
from services.sandbox.state.report_columns import OPTIONAL, OPTIONAL_GROUPS

router = APIRouter()

ORDER_REPORT_COLUMNS_PATH: Final = "/order-reports-and-feeds/column-picker"

_TEXTS: Final = {
    "de": {
        "columns": "Spalten für Auftragsberichte hinzufügen oder entfernen",
        "save": "Speichern",
        "all": "Alle einschalten",
        "none": "Alle ausschalten",
    },
    "en": {
        "columns": "Add or remove order report columns",
        "save": "Save",
        "all": "Switch all on",
        "none": "Switch all off",
    },
}


_GROUPS: Final = {
    "de": {
        "promotions": "Werbeaktionen",
        "gift": "Geschenk",
        "business": "Amazon Business",
        "licence": "Lizenz",
        "channel": "Vertriebskanal",
        "service": "Versand und Zustellung",
        "address": "Adresse",
        "ship_from": "Versendet von",
        "tax": "Steuer",
        "invoice": "Rechnung",
        "payment": "Zahlung",
        "delivery": "Zustellwünsche",
        "programmes": "Programme",
        "cancellation": "Stornierung",
        "replacement": "Ersatz",
        "shipping_settings": "Versandeinstellungen",
    },
    "en": {
        "promotions": "Promotions",
        "gift": "Gift",
        "business": "Amazon Business",
        "licence": "Licence",
        "channel": "Sales channel",
        "service": "Shipping and delivery",
        "address": "Address",
        "ship_from": "Shipped from",
        "tax": "Tax",
        "invoice": "Invoice",
        "payment": "Payment",
        "delivery": "Delivery preferences",
        "programmes": "Programmes",
        "cancellation": "Cancellation",
        "replacement": "Replacement",
        "shipping_settings": "Shipping settings",
    },
}


@router.get("/{host}" + ORDER_REPORT_COLUMNS_PATH)
async def columns_page(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    texts = _TEXTS[language]
    groups = "".join(
        f'<fieldset><legend>{_GROUPS[language][group]}</legend><div class="columns">'
        + "".join(_tick(name, is_on=name in seller.report_columns) for name in names)
        + "</div></fieldset>"
        for group, names in OPTIONAL_GROUPS.items()
    )
    body = f"""{saved_notice(request, language)}<form method="post" action="/{host}{ORDER_REPORT_COLUMNS_PATH}">
<button id="all" name="every" value="on" type="submit">{texts["all"]}</button>
<button id="none" name="every" value="off" type="submit">{texts["none"]}</button>
{groups}<button class="main" id="save" type="submit">{texts["save"]}</button></form>"""
    return seller_page(language, host, seller, texts["columns"], body)


@router.post("/{host}" + ORDER_REPORT_COLUMNS_PATH)
async def save_columns(request: Request, seller: SignedInSeller, host: SellerCentralHost) -> Response:
    form = await request.form(max_files=0, max_fields=len(OPTIONAL) + 5)
    every = form.get("every")
    chosen = {str(name) for name in form.getlist("column")} & set(OPTIONAL)
    seller.report_columns = set(OPTIONAL) if every == "on" else set() if every == "off" else chosen
    return redirect_saved(host, ORDER_REPORT_COLUMNS_PATH, "")


def _tick(name: str, *, is_on: bool) -> str:
    checked = " checked" if is_on else ""
    return (
        f'<label class="tick"><input type="checkbox" name="column" id="{_html_id(name)}" value="{name}"{checked}>'
        f" {name}</label>"
    )


def _html_id(column: str) -> str:
    """Such as `column-is-prime`; one column has a blank in its name, which an id cannot have."""
    return f"column-{column.replace(' ', '-')}"
