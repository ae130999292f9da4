"""Amazon's addresses that we send a browser to. Hosts come from our table alone, never from a request."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from shared.marketplaces import BY_COUNTRY, MARKETPLACES, reach

_MAX_URL: Final = 500
_CONFIRM_PATH: Final = "/apps/authorize/confirm/"
# The first two are seen in Amazon's documentation.
_CONFIRM_HOSTS: Final = frozenset(
    {"amazon.com", "www.amazon.com", *(marketplace.seller_central_host for marketplace in MARKETPLACES)}
)


@dataclass(frozen=True, slots=True)
class Application:
    """Our application, as Amazon knows it, and where Amazon is reached."""

    application_id: str
    redirect_uri: str
    is_draft: bool
    amazon_base_url: str | None


def consent_url(application: Application, country: str, state: str) -> str:
    """The URL of Amazon's consent page. A draft needs version=beta, a published application must not have it."""
    parameters = {
        "application_id": application.application_id,
        "state": state,
        "redirect_uri": application.redirect_uri,
        **_draft(application),
    }
    host = BY_COUNTRY[country].seller_central_host
    return reach(
        f"https://{host}/apps/authorize/consent?{urlencode(parameters)}", application.amazon_base_url
    )


def confirm_url(
    application: Application, amazon_callback_uri: str, *, country: str, amazon_state: str, state: str
) -> str | None:
    """Where the Appstore's way goes on, or None if `amazon_callback_uri` is not a genuine one of Amazon's.

    Only scheme, host and path exactly as Amazon sends them pass; the relative form was seen too and means our own choice.
    """
    path = f"{_CONFIRM_PATH}{application.application_id}"
    if amazon_callback_uri == path:
        target = f"https://{BY_COUNTRY[country].seller_central_host}{path}"
    elif _is_genuine(amazon_callback_uri, path):
        target = amazon_callback_uri
    else:
        return None
    parameters = {
        "redirect_uri": application.redirect_uri,
        "amazon_state": amazon_state,
        "state": state,
        **_draft(application),
    }
    return reach(f"{target}?{urlencode(parameters)}", application.amazon_base_url)


def is_genuine(application: Application, amazon_callback_uri: str) -> bool:
    """Whether this is an address of Amazon's at which a consent is confirmed."""
    path = f"{_CONFIRM_PATH}{application.application_id}"
    return amazon_callback_uri == path or _is_genuine(amazon_callback_uri, path)


def country_of_host(amazon_callback_uri: str) -> str | None:
    """The country that this Seller Central serves. None for a common one, and for .com, which Amazon names for any seller."""
    host = urlsplit(amazon_callback_uri).netloc
    countries = [m.country for m in MARKETPLACES if m.seller_central_host == host]
    return countries[0] if len(countries) == 1 and countries != ["US"] else None


def _is_genuine(url: str, path: str) -> bool:
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # Putting the pieces together again leaves no room for user, port, query, fragment or other spellings.
    return parts.netloc in _CONFIRM_HOSTS and url == f"https://{parts.netloc}{path}"


def _draft(application: Application) -> dict[str, str]:
    return {"version": "beta"} if application.is_draft else {}
