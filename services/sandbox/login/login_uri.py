"""How Amazon opens the application's login URI: from the Appstore, from *Manage Your Apps*, and by surprise."""

import secrets
from urllib.parse import urlencode, urlsplit, urlunsplit

from services.sandbox.state.memory import APPSTORE_LIFE, Sandbox
from services.sandbox.state.scenarios import CALLBACK_URIS
from services.sandbox.state.sellers import Seller

CONFIRM_PATH = "/apps/authorize/confirm"


def login_uri_call(sandbox: Sandbox, host: str, seller: Seller, *, instead: str | None = None) -> str:
    """The login URI, or the URI given instead, with what Amazon adds to it.

    `amazon_callback_uri` is the genuine https address, as Amazon sends it, unless a scenario has another one.
    """
    amazon_state = secrets.token_urlsafe(48)
    sandbox.appstore_states.put(amazon_state, (seller.seller_id, sandbox.now() + APPSTORE_LIFE))
    parameters = {
        "amazon_callback_uri": _callback_uri(sandbox, host, seller),
        "amazon_state": amazon_state,
        "selling_partner_id": seller.seller_id,
    }
    if sandbox.is_draft:
        parameters["version"] = "beta"
    return with_query(instead or sandbox.settings.login_uri, parameters)


def with_query(url: str, parameters: dict[str, str]) -> str:
    """The URL with the parameters added; a registered URI may have a query of its own."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return urlunsplit(parts._replace(query=query))


def _callback_uri(sandbox: Sandbox, host: str, seller: Seller) -> str:
    application_id = sandbox.settings.application_id
    for name, uri in CALLBACK_URIS.items():
        if sandbox.scenarios.happens(name, seller.seller_id):
            return uri.format(host=host, application_id=application_id)
    return f"https://{host}{CONFIRM_PATH}/{application_id}"
