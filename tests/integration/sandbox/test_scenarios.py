"""Every scenario does what its sentence says, to whom it is meant, and as often as it is meant."""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from services.sandbox.state import scenarios
from services.sandbox.state.scenarios import API_ANSWERS, CALLBACK_URIS, PAGE_CODES, SCENARIOS, TOKEN_ANSWERS
from tests.integration.sandbox.conftest import CALLBACK, EUROPE, USER_AGENT, Seller

LAMPENLADEN, CASA_VERDE = "A1LAMPENLADEN7", "A2CASAVERDE34K"


async def on(seller: Seller, name: str, **limits: Any) -> None:
    answer = await seller.client.post(f"/control/scenarios/{name}", json=limits)
    assert answer.status_code == 200


async def off(seller: Seller, name: str) -> None:
    assert (await seller.client.delete(f"/control/scenarios/{name}")).status_code == 200


async def refresh(seller: Seller, tokens: dict[str, str]) -> httpx2.Response:
    return await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])


def query_of(answer: httpx2.Response) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


# --- switching ---------------------------------------------------------------------------------------------------------


async def test_every_scenario_is_listed_with_a_sentence(seller: Seller) -> None:
    listed = (await seller.client.get("/control/scenarios")).json()

    assert [scenario["name"] for scenario in listed["scenarios"]] == list(SCENARIOS)
    assert all(scenario["happens"].endswith(".") for scenario in listed["scenarios"])
    assert listed["on"] == []
    assert {*TOKEN_ANSWERS, *API_ANSWERS, *CALLBACK_URIS} <= set(SCENARIOS)


async def test_scenario_lasts_until_it_is_switched_off(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-invalid-grant")
    assert [(await refresh(seller, tokens)).status_code for _ in range(3)] == [400, 400, 400]

    await off(seller, "token-invalid-grant")

    assert (await refresh(seller, tokens)).status_code == 200


async def test_scenario_with_a_count_ends_by_itself(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-invalid-grant", count=1)

    assert [(await refresh(seller, tokens)).status_code for _ in range(2)] == [400, 200]
    assert (await seller.client.get("/control/scenarios")).json()["on"] == []


async def test_scenario_of_one_seller_leaves_the_others(seller: Seller) -> None:
    lampenladen, casa_verde = await seller.connect(), await seller.connect(CASA_VERDE)
    await on(seller, "token-503-html", seller_id=LAMPENLADEN)

    assert (await refresh(seller, lampenladen)).status_code == 503
    assert (await refresh(seller, casa_verde)).status_code == 200


async def test_scenario_of_one_operation_leaves_the_others(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "api-role-missing", operation="searchOrders")
    assert (await seller.participations(tokens["access_token"])).status_code == 200

    await on(seller, "api-role-missing", operation="getMarketplaceParticipations")

    assert (await seller.participations(tokens["access_token"])).status_code == 403


async def test_all_scenarios_can_be_switched_off_at_once(seller: Seller) -> None:
    await on(seller, "outage")
    await on(seller, "draft")

    left = (await seller.client.delete("/control/scenarios")).json()

    assert left["on"] == []
    assert (await seller.client.get(f"{EUROPE}/ap/signin")).status_code == 200


async def test_unknown_scenarios_and_sellers_are_not_found(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/control/scenarios/no-such")).status_code == 404
    assert (await client.delete("/control/scenarios/no-such")).status_code == 404
    limited = await client.post("/control/scenarios/outage", json={"seller_id": "A0NOBODY000000"})
    assert limited.status_code == 404
    assert (await client.post("/control/scenarios/outage", json={"count": 0})).status_code == 422


async def test_page_switches_on_and_off_and_moves_the_clock(seller: Seller) -> None:
    form = {"action": "on", "name": "outage", "seller_id": "", "count": "", "operation": ""}
    assert (await seller.client.post("/scenarios", data=form)).status_code == 303
    shown = (await seller.client.get("/scenarios")).text
    assert "Switch off outage" in shown
    assert all(f"<code>{name}</code>" in shown for name in SCENARIOS)

    await seller.client.post("/scenarios", data={"action": "off", "name": "outage"})
    await seller.client.post("/scenarios", data={"action": "advance", "step": "7 days"})

    shown = (await seller.client.get("/scenarios")).text
    assert 'id="nothing-on"' in shown
    assert "2026-11-09 08:15:01 UTC" in shown
    for wrong in (
        {"action": "on", "name": "x"},
        {"action": "advance", "step": "x"},
        {"action": "x"},
        {"action": "on", "name": "outage", "seller_id": "x"},
    ):
        assert (await seller.client.post("/scenarios", data=wrong)).status_code == 422


# --- consent -----------------------------------------------------------------------------------------------------------


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


# --- Appstore ----------------------------------------------------------------------------------------------------------


async def test_appstore_asks_to_sign_in_and_opens_the_login_uri(seller: Seller) -> None:
    assert (
        (await seller.client.get(f"{EUROPE}/apps/store"))
        .headers["location"]
        .startswith(f"{EUROPE}/ap/signin")
    )
    await seller.sign_in()
    assert 'id="authorize"' in (await seller.client.get(f"{EUROPE}/apps/store")).text

    started = query_of(await seller.client.post(f"{EUROPE}/apps/store"))
    confirm = urlsplit(started["amazon_callback_uri"])
    back = await seller.client.get(
        f"/{confirm.netloc}{confirm.path}",
        params={"amazon_state": started["amazon_state"], "state": "ours", "redirect_uri": CALLBACK},
    )

    assert query_of(back)["state"] == "ours"
    assert (await seller.exchange(query_of(back)["spapi_oauth_code"])).status_code == 200


async def test_amazon_state_of_the_appstore_lives_ten_minutes(seller: Seller) -> None:
    await seller.sign_in()
    started = query_of(await seller.client.post(f"{EUROPE}/apps/store"))
    await seller.client.post("/control/clock/advance", json={"seconds": 600})

    back = await seller.client.get(
        f"{EUROPE}/apps/authorize/confirm/{seller.settings.application_id}",
        params={"amazon_state": started["amazon_state"], "state": "ours"},
    )

    assert "MD9999" in back.text


@pytest.mark.parametrize(("name", "form"), CALLBACK_URIS.items())
async def test_amazon_callback_uri_can_be_another_one(seller: Seller, name: str, form: str) -> None:
    await seller.sign_in()
    await on(seller, name, count=1)
    expected = form.format(
        host="sellercentral-europe.amazon.com", application_id=seller.settings.application_id
    )

    forged = query_of(await seller.client.post(f"{EUROPE}/apps/store"))
    genuine = query_of(await seller.client.post(f"{EUROPE}/apps/manage", data={"action": "reauthorize"}))

    assert forged["amazon_callback_uri"] == expected
    assert genuine["amazon_callback_uri"].startswith(
        "https://sellercentral-europe.amazon.com/apps/authorize/confirm/"
    )


# --- token endpoint ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, answer in TOKEN_ANSWERS.items() if not answer.hangs])
async def test_token_endpoint_answers_as_the_scenario_says(seller: Seller, name: str) -> None:
    tokens = await seller.connect()
    await on(seller, name, count=1)

    answer = await refresh(seller, tokens)

    assert (answer.status_code, answer.text) == (TOKEN_ANSWERS[name].status, TOKEN_ANSWERS[name].body)
    assert answer.headers["content-type"].startswith(TOKEN_ANSWERS[name].content_type)
    assert (await refresh(seller, tokens)).status_code == 200


async def test_token_scenario_can_be_limited_to_a_grant_type(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-429-json", operation="authorization_code")

    assert (await refresh(seller, tokens)).status_code == 200
    assert (await seller.exchange(await seller.code())).status_code == 429


async def test_hanging_amazon_answers_late_and_with_nothing_useful(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await seller.connect()
    monkeypatch.setattr(scenarios, "HANG_SECONDS", 0.2)
    await on(seller, "token-hangs")
    await on(seller, "api-hangs")
    started = asyncio.get_running_loop().time()

    token, call = await asyncio.gather(refresh(seller, tokens), seller.participations(tokens["access_token"]))

    assert asyncio.get_running_loop().time() - started >= 0.2
    assert (token.status_code, call.status_code) == (503, 503)


async def test_code_can_bring_no_refresh_token(seller: Seller) -> None:
    await on(seller, "token-no-refresh-token", count=1)

    assert set((await seller.exchange(await seller.code())).json()) == {
        "access_token",
        "token_type",
        "expires_in",
    }


async def test_refresh_can_bring_a_new_refresh_token_and_end_the_old_one(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "token-new-refresh-token", count=1)

    renewed = (await refresh(seller, tokens)).json()

    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert (await refresh(seller, tokens)).json()["error"] == "invalid_grant"
    assert (await refresh(seller, renewed)).status_code == 200


async def test_invalid_grant_for_good_ends_with_a_new_consent_only_when_it_is_a_revocation(
    seller: Seller,
) -> None:
    tokens = await seller.connect()
    await on(seller, "token-invalid-grant", seller_id=LAMPENLADEN)

    assert (await refresh(seller, tokens)).json()["error"] == "invalid_grant"
    assert (await seller.exchange(await seller.code())).status_code == 200


# --- SP-API ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, answer in API_ANSWERS.items() if not answer.hangs])
async def test_sp_api_answers_as_the_scenario_says(seller: Seller, name: str) -> None:
    tokens = await seller.connect()
    await on(seller, name, count=1)

    answer = await seller.participations(tokens["access_token"])

    assert (answer.status_code, answer.text) == (API_ANSWERS[name].status, API_ANSWERS[name].body)
    assert "x-amzn-requestid" in answer.headers
    assert ("x-amzn-ratelimit-limit" in answer.headers) == API_ANSWERS[name].rate_header
    assert (await seller.participations(tokens["access_token"])).status_code == 200


async def rows(seller: Seller, name: str) -> list[dict[str, Any]]:
    tokens = await seller.connect()
    await on(seller, name, seller_id=LAMPENLADEN)
    payload: list[dict[str, Any]] = (await seller.participations(tokens["access_token"])).json()["payload"]
    return payload


async def test_list_of_marketplaces_can_be_empty(seller: Seller) -> None:
    assert await rows(seller, "participations-empty") == []


async def test_store_can_sell_nowhere_any_more(seller: Seller) -> None:
    shown = await rows(seller, "participations-none")

    assert [row["participation"]["isParticipating"] for row in shown] == [False, False, False]


async def test_region_can_answer_with_another_ones_marketplaces(seller: Seller) -> None:
    shown = await rows(seller, "participations-other-region")

    assert {row["marketplace"]["countryCode"] for row in shown} == {"US", "CA"}


async def test_region_can_answer_with_another_store(seller: Seller) -> None:
    shown = await rows(seller, "participations-other-store")

    assert {row["storeName"] for row in shown} == {"Casa Verde"}
    assert {row["marketplace"]["countryCode"] for row in shown} == {"ES", "GB", "NL", "DE"}


async def test_store_can_be_renamed(seller: Seller) -> None:
    shown = await rows(seller, "store-renamed")

    assert {row["storeName"] for row in shown} == {"Lampenladen (renamed)"}


async def test_listings_can_be_suspended(seller: Seller) -> None:
    shown = await rows(seller, "listings-suspended")

    assert [row["participation"]["hasSuspendedListings"] for row in shown] == [True, True, True, False]


# --- tokens for buyers' data ---------------------------------------------------------------------------------------------


async def test_application_can_lack_the_role_for_buyers_data(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "personal-data-refused", seller_id=LAMPENLADEN, count=1)

    async def ask() -> httpx2.Response:
        return await seller.client.post(
            "/sellingpartnerapi-eu.amazon.com/tokens/2021-03-01/restrictedDataToken",
            headers={"x-amz-access-token": tokens["access_token"], "user-agent": USER_AGENT},
            json={
                "restrictedResources": [
                    {"method": "GET", "path": "/orders/v0/orders", "dataElements": ["buyerInfo"]}
                ]
            },
        )

    refused, given = await ask(), await ask()

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["message"].endswith("requested data elements: [buyerInfo]")
    assert given.json()["expiresIn"] == 3600


# --- all of Amazon -----------------------------------------------------------------------------------------------------


async def test_in_an_outage_everything_of_amazon_is_away_and_comes_back(seller: Seller) -> None:
    tokens = await seller.connect()
    await on(seller, "outage")

    away = [
        await refresh(seller, tokens),
        await seller.participations(tokens["access_token"]),
        await seller.client.get(f"{EUROPE}/ap/signin"),
    ]
    assert [answer.status_code for answer in away] == [503, 503, 503]
    assert all(answer.headers["content-type"].startswith("text/html") for answer in away)
    assert (await seller.client.get("/livez")).status_code == 200

    await off(seller, "outage")
    assert (await refresh(seller, tokens)).status_code == 200


# --- documentation -----------------------------------------------------------------------------------------------------


def test_documentation_tells_what_a_seller_sees_of_every_scenario() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "sandbox.md").read_text("utf-8")
    table = text.partition("## Scenarios")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]

    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row[1])} == set(SCENARIOS)
    assert all(row[3].strip() for row in rows)
