"""The page on which sellers choose the optional columns of their order reports."""

from typing import Final

from fastapi import APIRouter, Request, Response

from services.sandbox.dependencies import LanguageDep, SellerCentralHost
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.seller_page import redirect_saved, saved_notice, seller_page
from services.sandbox.state.report_columns import OPTIONAL

router = APIRouter()

ORDER_REPORT_COLUMNS_PATH: Final = "/order-reports-and-feeds/column-picker"

_TEXTS: Final = {
    "de": {
        "columns": "Spalten für Auftragsberichte hinzufügen oder entfernen",
        "optional": "Optionale Spalten",
        "save": "Speichern",
    },
    "en": {
        "columns": "Add or remove order report columns",
        "optional": "Optional columns",
        "save": "Save",
    },
}


@router.get("/{host}" + ORDER_REPORT_COLUMNS_PATH)
async def columns_page(
    request: Request, seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep
) -> Response:
    texts = _TEXTS[language]
    ticks = "".join(
        f'<label class="tick"><input type="checkbox" name="column" id="column-{name.replace(" ", "-")}" value="{name}"'
        f"{' checked' if name in seller.report_columns else ''}> {name}</label>"
        for name in OPTIONAL
    )
    body = f"""{saved_notice(request, language)}<form method="post" action="/{host}{ORDER_REPORT_COLUMNS_PATH}">
<fieldset><legend>{texts["optional"]}</legend><div class="columns">{ticks}</div></fieldset>
<button class="main" id="save" type="submit">{texts["save"]}</button></form>"""
    return seller_page(language, host, seller, texts["columns"], body)


@router.post("/{host}" + ORDER_REPORT_COLUMNS_PATH)
async def save_columns(request: Request, seller: SignedInSeller, host: SellerCentralHost) -> Response:
    form = await request.form(max_files=0, max_fields=len(OPTIONAL) + 5)
    seller.report_columns = {str(name) for name in form.getlist("column")} & set(OPTIONAL)
    return redirect_saved(host, ORDER_REPORT_COLUMNS_PATH, "")


def _html_id(column: str) -> str:
    """Such as `column-is-prime`; one column has a blank in its name, which an id cannot have."""
    return f"column-{column.replace(' ', '-')}"
