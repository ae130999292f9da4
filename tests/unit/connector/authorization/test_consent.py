"""Addresses at Amazon that a browser is sent to."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.authorization.consent import (
    Application,
    confirm_url,
    consent_url,
    country_of_host,
    is_genuine,
)
from shared.marketplaces import MARKETPLACES

APPLICATION = Application(
    application_id="amzn1.sp.solution.00000000-0000-4000-8000-000000000001",
    redirect_uri="https://app.example/amazon/callback",
    is_draft=False,
    amazon_base_url=None,
)
PATH = f"/apps/authorize/confirm/{APPLICATION.application_id}"


def confirm(uri: str, application: Application = APPLICATION) -> str | None:
    return confirm_url(application, uri, country="DE", amazon_state="a+b/c==", state="our-state")


@pytest.mark.parametrize("marketplace", MARKETPLACES, ids=lambda marketplace: marketplace.country)
def test_the_consent_page_is_the_countrys_own(marketplace):
    parts = urlsplit(consent_url(APPLICATION, marketplace.country, "a state/with=signs"))

    assert (parts.scheme, parts.netloc) == ("https", marketplace.seller_central_host)
    assert parts.path == "/apps/authorize/consent"
    assert parse_qs(parts.query) == {
        "application_id": [APPLICATION.application_id],
        "state": ["a state/with=signs"],
        "redirect_uri": ["https://app.example/amazon/callback"],
    }


def test_a_draft_says_that_it_is_one():
    draft = replace(APPLICATION, is_draft=True)

    assert parse_qs(urlsplit(consent_url(draft, "DE", "s")).query)["version"] == ["beta"]
    assert parse_qs(urlsplit(confirm(f"https://amazon.com{PATH}", draft) or "").query)["version"] == ["beta"]


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (f"https://amazon.com{PATH}", "amazon.com"),
        (f"https://sellercentral.amazon.com{PATH}", "sellercentral.amazon.com"),
        (f"https://sellercentral.amazon.in{PATH}", "sellercentral.amazon.in"),
        (PATH, "sellercentral-europe.amazon.com"),
    ],
)
def test_every_genuine_form_is_followed(uri: str, host: str):
    parts = urlsplit(confirm(uri) or "")

    assert (parts.scheme, parts.netloc, parts.path) == ("https", host, PATH)
    assert parse_qs(parts.query)["amazon_state"] == ["a+b/c=="]
    assert parse_qs(parts.query)["state"] == ["our-state"]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        f"http://sellercentral.amazon.com{PATH}",
        f"https://sellercentral.amazon.com.evil.example{PATH}",
        f"https://evil.example{PATH}",
        f"https://evil.example#@sellercentral.amazon.com{PATH}",
        f"https://user@sellercentral.amazon.com{PATH}",
        f"https://sellercentral.amazon.com:8443{PATH}",
        f"https://sellercentral.amazon.com@evil.example{PATH}",
        f"https://sellercentral.amazon.com\\@evil.example{PATH}",
        f"https://SELLERCENTRAL.amazon.com{PATH}",
        f"https://sellercentral.amazon.com.{PATH}",
        f"https://xn--sellercentral.amazon.com{PATH}",
        f"//evil.example{PATH}",
        f"\\\\evil.example{PATH}",
        f"https:/evil.example{PATH}",
        f"https://sellercentral.amazon.com{PATH}#fragment",
        f"https://sellercentral.amazon.com{PATH}?redirect=https://evil.example",
        f"https://sellercentral.amazon.com{PATH}/..",
        f"https://sellercentral.amazon.com/%2e%2e{PATH}",
        "https://sellercentral.amazon.com/apps/authorize/confirm/amzn1.sp.solution.other",
        f"javascript://sellercentral.amazon.com{PATH}",
        f"https://sellercentral.amazon.com{PATH}\r\nSet-Cookie: x=y",
        f" https://sellercentral.amazon.com{PATH}",
        f"https://[::1{PATH}",
        "https://sellercentral.amazon.com" + PATH + "x" * 600,
    ],
)
def test_nothing_else_is_followed(uri: str):
    """# S: amazon_callback_uri is https, of an exact Seller Central host, with our application's path and nothing else"""
    assert confirm(uri) is None
    assert not is_genuine(APPLICATION, uri)


@pytest.mark.parametrize(
    ("host", "country"),
    [
        ("sellercentral.amazon.in", "IN"),
        ("sellercentral.amazon.com.be", "BE"),
        # Serves several countries, and is named for any seller.
        ("sellercentral-europe.amazon.com", None),
        ("sellercentral.amazon.com", None),
        ("amazon.com", None),
    ],
)
def test_the_country_is_known_from_a_host_of_its_own(host: str, country: str | None):
    assert is_genuine(APPLICATION, f"https://{host}{PATH}")
    assert country_of_host(f"https://{host}{PATH}") == country


def test_a_relative_address_tells_no_country():
    assert is_genuine(APPLICATION, PATH)
    assert country_of_host(PATH) is None


@given(st.text(max_size=80))
def test_no_text_leads_anywhere_but_to_amazon(uri: str):
    assert confirm(uri) is None
