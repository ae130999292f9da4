"""Sign-in and consent, as a browser sees them."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from tests.integration.sandbox.conftest import CALLBACK, EUROPE, Seller, fixed_clock

CONSENT = f"{EUROPE}/apps/authorize/consent"


async def test_consent_asks_to_sign_in_and_comes_back(seller: Seller) -> None:
    answer = await seller.client.get(CONSENT, params=seller.consent_fields())
    signin = answer.headers["location"]
    assert signin.startswith(f"{EUROPE}/ap/signin?")

    return_to = parse_qs(urlsplit(signin).query)["return_to"][0]
    form = {"seller_id": "A1LAMPENLADEN7", "return_to": return_to}
    back = await seller.client.post(f"{EUROPE}/ap/signin", data=form)

    assert back.headers["location"] == return_to
    shown = await seller.client.get(return_to)
    assert 'id="consent"' in shown.text
    assert "Lampenladen" in shown.text


async def test_confirm_returns_with_state_seller_and_code(seller: Seller) -> None:
    await seller.sign_in()

    answer = await seller.confirm(state="a b&c")

    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith(f"{CALLBACK}?")
    parameters = parse_qs(urlsplit(location).query)
    assert parameters["state"] == ["a b&c"]
    assert parameters["selling_partner_id"] == ["A1LAMPENLADEN7"]
    assert set(parameters) == {"state", "selling_partner_id", "spapi_oauth_code"}


async def test_without_redirect_uri_the_first_registered_one_is_used(seller: Seller) -> None:
    await seller.sign_in()

    answer = await seller.confirm(redirect_uri="")

    assert answer.headers["location"].startswith(f"{CALLBACK}?")


async def test_confirm_without_the_tick_stays(seller: Seller) -> None:
    await seller.sign_in()

    data = {**seller.consent_fields(), "action": "confirm"}
    answer = await seller.client.post(CONSENT, data=data)

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


async def test_cancel_stays_at_amazon(seller: Seller) -> None:
    await seller.sign_in()

    data = {**seller.consent_fields(), "consent": "yes", "action": "cancel"}
    answer = await seller.client.post(CONSENT, data=data)

    assert answer.status_code == 200
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"application_id": ""}, "MD4010"),
        ({"application_id": "amzn1.sp.solution.other"}, "MD4100"),
        ({"application_id": SandboxSettings().client_id}, "MD1000"),
        ({"redirect_uri": "http://localhost:8000/elsewhere"}, "MD5101"),
        ({"redirect_uri": f"{CALLBACK}/"}, "MD5101"),
        ({"redirect_uri": f"{CALLBACK}#a"}, "MD5110"),
    ],
)
async def test_a_wrong_request_shows_amazons_code_and_leads_nowhere(
    seller: Seller, changes: dict[str, str], code: str
) -> None:
    await seller.sign_in()

    shown = await seller.client.get(CONSENT, params=seller.consent_fields(**changes))
    confirmed = await seller.confirm(**changes)

    for answer in (shown, confirmed):
        assert answer.status_code == 400
        assert f'<strong id="error-code">{code}</strong>' in answer.text
        assert "location" not in answer.headers


async def test_consent_page_may_send_its_form_to_the_application_only(seller: Seller) -> None:
    await seller.sign_in()

    answer = await seller.client.get(CONSENT, params=seller.consent_fields())

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://localhost:8000" in policy


async def test_parameters_are_shown_as_text(seller: Seller) -> None:
    await seller.sign_in()

    answer = await seller.client.get(CONSENT, params=seller.consent_fields(state='"><script>x</script>'))

    assert "<script>" not in answer.text


@pytest.fixture
async def draft() -> AsyncIterator[Seller]:
    settings = SandboxSettings(application_draft=True)
    transport = httpx2.ASGITransport(create_app(settings, fixed_clock))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
        yield Seller(client, settings)


async def test_draft_application_needs_version_beta(draft: Seller) -> None:
    await draft.sign_in()

    without = await draft.confirm()
    with_beta = await draft.confirm(version="beta")

    assert "MD1000" in without.text
    assert with_beta.headers["location"].startswith(CALLBACK)


async def test_consent_without_state_comes_through_the_login_uri_without_a_code(seller: Seller) -> None:
    await seller.sign_in()

    answer = await seller.confirm(state="")

    location = answer.headers["location"]
    assert location.startswith("http://localhost:8000/amazon/login?")
    assert "spapi_oauth_code" not in location
