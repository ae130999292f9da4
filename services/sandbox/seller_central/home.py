"""The first page of Seller Central, with links to all others."""

from typing import Final

from fastapi import APIRouter, Response

from services.sandbox.dependencies import LanguageDep, SellerCentralHost
from services.sandbox.login.appstore import APPSTORE_PATH
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.apps import MANAGE_APPS_PATH
from services.sandbox.seller_central.messages import MESSAGES_PATH
from services.sandbox.seller_central.messaging_permissions import MESSAGING_PERMISSIONS_PATH
from services.sandbox.seller_central.notification_preferences import NOTIFICATION_PREFERENCES_PATH
from services.sandbox.seller_central.orders import ORDERS_PATH
from services.sandbox.seller_central.report_columns import ORDER_REPORT_COLUMNS_PATH
from services.sandbox.seller_central.seller_page import seller_page
from services.sandbox.seller_central.seller_profile import SELLER_PROFILE_PATH

router = APIRouter()

HOME_PATH: Final = "/"


_TEXTS: Final = {
    "de": {
        "profile": "Verkäuferprofil",
        "notifications": "Benachrichtigungseinstellungen",
        "permissions": "Kommunikationsberechtigungen",
        "messages": "Nachrichten",
        "orders": "Bestellungen verwalten",
        "columns": "Spalten für Auftragsberichte hinzufügen oder entfernen",
        "apps": "Apps verwalten",
        "appstore": "Appstore",
    },
    "en": {
        "profile": "Seller Profile",
        "notifications": "Notification Preferences",
        "permissions": "Messaging Permissions",
        "messages": "Messages",
        "orders": "Manage Orders",
        "columns": "Add or remove order report columns",
        "apps": "Manage Your Apps",
        "appstore": "Appstore",
    },
}


@router.get("/{host}" + HOME_PATH)
async def home(seller: SignedInSeller, host: SellerCentralHost, language: LanguageDep) -> Response:
    texts = _TEXTS[language]
    links = (
        (SELLER_PROFILE_PATH, "profile"),
        (NOTIFICATION_PREFERENCES_PATH, "notifications"),
        (MESSAGING_PERMISSIONS_PATH, "permissions"),
        (MESSAGES_PATH, "messages"),
        (ORDERS_PATH, "orders"),
        (ORDER_REPORT_COLUMNS_PATH, "columns"),
        (MANAGE_APPS_PATH, "apps"),
        (APPSTORE_PATH, "appstore"),
    )
    items = "".join(f'<li><a href="/{host}{path}">{texts[name]}</a></li>' for path, name in links)
    return seller_page(language, host, seller, "Seller Central", f"<ul>{items}</ul>")
