"""The control API's own rules, the overview, and what keeps the sandbox bounded."""

import httpx2

from services.sandbox.settings import SandboxSettings
from tests.integration.sandbox.conftest import Seller


async def test_seeded_sellers_are_the_same_each_time(seller: Seller) -> None:
    before = (await seller.client.get("/control/sellers")).json()
    await seller.client.post("/control/reset")
    after = (await seller.client.get("/control/sellers")).json()

    assert before == after
    orders = [order for known in before for order in known["orders"]]
    assert len({order["order_id"] for order in orders}) == len(orders) == 36
    assert {(known["region"], tuple(known["countries"])) for known in before} == {
        ("eu", ("DE", "FR", "IT")),
        ("eu", ("ES", "GB", "NL")),
        ("na", ("US", "CA", "MX")),
        ("fe", ("AU", "JP", "SG")),
    }


async def test_new_seller_can_be_connected(seller: Seller) -> None:
    new = {"store_name": "Neu", "region": "eu", "countries": ["DE", "PL"], "not_participating": ["PL"]}

    created = (await seller.client.post("/control/sellers", json=new)).json()
    tokens = await seller.connect(created["seller_id"])

    rows = (await seller.participations(tokens["access_token"])).json()["payload"]
    assert [row["participation"]["isParticipating"] for row in rows] == [True, False, True]


async def test_seller_with_a_country_of_another_region_is_refused(client: httpx2.AsyncClient) -> None:
    new = {"store_name": "Neu", "region": "eu", "countries": ["US"]}

    assert (await client.post("/control/sellers", json=new)).status_code == 422


async def test_reset_forgets_tokens(seller: Seller) -> None:
    tokens = await seller.connect()

    await seller.client.post("/control/reset")

    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


async def test_counters_reset_alone_keeps_tokens(seller: Seller) -> None:
    tokens = await seller.connect()

    cleared = (await seller.client.post("/control/counters/reset")).json()

    assert cleared["token"] == {}
    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.status_code == 200


async def test_disable_authorization_in_manage_your_apps_revokes(seller: Seller) -> None:
    tokens = await seller.connect()

    await seller.client.post("/sellercentral-europe.amazon.com/apps/manage", data={"action": "disable"})

    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


async def test_consent_cannot_be_given_through_control(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/control/consent", json={})).status_code == 404


async def test_large_body_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/control/mails", content=b"x" * (16 * 1024 * 1024 + 1))

    assert answer.status_code == 413


async def test_overview_and_readiness(client: httpx2.AsyncClient) -> None:
    overview = await client.get("/", headers={"accept-language": "de"})

    assert 'href="/buyer"' in overview.text
    assert "script" not in overview.headers["content-security-policy"]
    assert (await client.get("/livez")).text == "ok\n"
    assert (await client.get("/buyer")).status_code == 200
    assert (await client.get("/sandbox.css")).headers["content-type"].startswith("text/css")


def test_redirect_uris_are_a_comma_list_or_json() -> None:
    comma = SandboxSettings.model_validate({"redirect_uris": "http://a/x, http://b/y"})
    as_json = SandboxSettings.model_validate({"redirect_uris": '["http://a/x", "http://b/y"]'})

    assert comma.redirect_uris == as_json.redirect_uris == ("http://a/x", "http://b/y")
