"""What a scenario makes of the consent."""

import pytest

from services.sandbox.state.scenarios import PAGE_CODES
from tests.integration.sandbox.conftest import CALLBACK, CASA_VERDE, EUROPE, LAMPENLADEN, Seller
from tests.integration.sandbox.scenarios import on, query_of


@pytest.mark.parametrize("code", PAGE_CODES)
async def test_amazons_page_shows_the_code_and_leads_nowhere(seller: Seller, code: str) -> None:
    await seller.sign_in()
    await on(seller, f"page-{code}", seller_id=LAMPENLADEN)

    shown = await seller.client.get(f"{EUROPE}/apps/authorize/consent", params=seller.consent_fields())

    assert shown.status_code == 400
    assert f'id="error-code">{code}<' in shown.text


async def test_cancel_can_lead_back_with_access_denied(seller: Seller) -> None:
    await seller.sign_in()
    await on(seller, "access-denied")

    data = {**seller.consent_fields(), "action": "cancel"}
    answer = await seller.client.post(f"{EUROPE}/apps/authorize/consent", data=data)

    assert answer.headers["location"] == f"{CALLBACK}?state=st-1&error=access_denied"


async def test_callback_can_lack_the_code(seller: Seller) -> None:
    await seller.sign_in()
    await on(seller, "code-missing")

    assert query_of(await seller.confirm()) == {"state": "st-1", "selling_partner_id": LAMPENLADEN}


async def test_code_can_be_too_old_when_it_arrives(seller: Seller) -> None:
    await on(seller, "code-expired", count=1)

    assert (await seller.exchange(await seller.code())).json()["error"] == "invalid_grant"
    assert (await seller.exchange(await seller.code())).status_code == 200


async def test_callback_by_hand_is_a_link_that_can_be_opened_twice_and_later(seller: Seller) -> None:
    await seller.sign_in()
    await on(seller, "callback-by-hand")

    answer = await seller.confirm()

    assert answer.status_code == 200
    assert f'id="callback" href="{CALLBACK}?state=st-1&amp;' in answer.text


async def test_consent_of_another_seller_of_the_region(seller: Seller) -> None:
    await seller.sign_in()
    await on(seller, "other-seller")

    callback = query_of(await seller.confirm())

    tokens = (await seller.exchange(callback["spapi_oauth_code"])).json()
    assert callback["selling_partner_id"] == CASA_VERDE
    assert (await seller.participations(tokens["access_token"])).json()["payload"][0][
        "storeName"
    ] == "Casa Verde"


@pytest.mark.parametrize("seller_id", ["A3BRIGHTPORCH9", "A4HARBOURLITE2"])
async def test_another_seller_is_made_where_the_region_has_one_only(seller: Seller, seller_id: str) -> None:
    await seller.sign_in(seller_id)
    await on(seller, "other-seller")

    assert query_of(await seller.confirm())["selling_partner_id"].startswith("A9OTHERSTORE")


async def test_consent_of_another_region_gives_a_token_that_this_region_refuses(seller: Seller) -> None:
    await on(seller, "other-region")

    tokens = await seller.connect()

    assert (await seller.participations(tokens["access_token"], "eu")).status_code == 403
    assert (await seller.participations(tokens["access_token"], "na")).status_code == 200


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("consent-through-login-uri", "http://localhost:8000/amazon/login"),
        ("redirect-uri-as-login-uri", CALLBACK),
    ],
)
async def test_consent_can_come_back_with_amazon_callback_uri_and_no_code(
    seller: Seller, name: str, uri: str
) -> None:
    await seller.sign_in()
    await on(seller, name)

    answer = await seller.confirm()

    assert answer.headers["location"].startswith(f"{uri}?amazon_callback_uri=https")
    assert set(query_of(answer)) == {"amazon_callback_uri", "amazon_state", "selling_partner_id"}


async def test_application_can_be_a_draft_for_a_while(seller: Seller) -> None:
    await seller.sign_in()
    await on(seller, "draft")

    assert "MD1000" in (await seller.confirm()).text
    assert (await seller.confirm(version="beta")).status_code == 303
    started = await seller.client.post(f"{EUROPE}/apps/store")
    assert query_of(started)["version"] == "beta"
