"""Manage Your Apps: sellers withdraw the authorization, or give it again."""

from urllib.parse import parse_qs, urlencode, urlsplit

from tests.integration.sandbox.conftest import CALLBACK, EUROPE, Seller


async def test_disable_authorization_in_manage_your_apps_revokes(seller: Seller) -> None:
    tokens = await seller.connect()

    await seller.client.post("/sellercentral-europe.amazon.com/apps/manage", data={"action": "disable"})

    answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


async def test_reauthorize_goes_through_the_login_uri_and_back(seller: Seller) -> None:
    await seller.sign_in()
    answer = await seller.client.post(f"{EUROPE}/apps/manage", data={"action": "reauthorize"})
    login = urlsplit(answer.headers["location"])
    sent = {name: values[0] for name, values in parse_qs(login.query).items()}
    assert login.path == "/amazon/login"
    assert sent["selling_partner_id"] == "A1LAMPENLADEN7"
    expected = (
        f"https://sellercentral-europe.amazon.com/apps/authorize/confirm/{seller.settings.application_id}"
    )
    assert sent["amazon_callback_uri"] == expected

    query = urlencode({"amazon_state": sent["amazon_state"], "state": "ours", "redirect_uri": CALLBACK})
    confirm = f"{EUROPE}/apps/authorize/confirm/{seller.settings.application_id}?{query}"
    back = await seller.client.get(confirm)
    again = await seller.client.get(confirm)

    parameters = parse_qs(urlsplit(back.headers["location"]).query)
    assert parameters["state"] == ["ours"]
    assert "spapi_oauth_code" in parameters
    assert "MD9999" in again.text
