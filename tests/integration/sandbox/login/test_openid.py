"""The company's OpenID provider: codes are good once, for one client, one address and one verifier."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from services.sandbox.state.openid_provider import CLIENT_SECRET

PROVIDER = "/id.company.example/lampenladen"
BACK = "https://app.example/single-sign-on/callback/1"
VERIFIER = "v" * 43
ASKED = {
    "client_id": "replyco",
    "redirect_uri": BACK,
    "state": "state",
    "nonce": "nonce",
    "code_challenge": urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode().rstrip("="),
}


async def _code(client: httpx2.AsyncClient) -> str:
    form = {**ASKED, "action": "sign-in", "subject": "1001"}
    answer = await client.post(f"{PROVIDER}/authorize", data=form)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (query["state"], query["iss"]) == (["state"], ["https://id.company.example/lampenladen"])
    return query["code"][0]


async def _redeem(client: httpx2.AsyncClient, **changes: str) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code",
        "code": changes.pop("code", "") or await _code(client),
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_id": "replyco",
        "client_secret": CLIENT_SECRET,
    }
    tenant = changes.pop("tenant", "lampenladen")
    return await client.post(f"/id.company.example/{tenant}/token", data=form | changes)


async def test_it_says_what_it_offers(client: httpx2.AsyncClient):
    described = (await client.get(f"{PROVIDER}/.well-known/openid-configuration")).json()
    keys = (await client.get(f"{PROVIDER}/jwks")).json()["keys"]

    assert described["issuer"] == "https://id.company.example/lampenladen"
    assert described["code_challenge_methods_supported"] == ["S256"]
    assert [key["kid"] for key in keys] == ["company-1"]
    assert "d" not in keys[0]


async def test_a_code_becomes_tokens_once(client: httpx2.AsyncClient):
    code = await _code(client)
    first, second = await _redeem(client, code=code), await _redeem(client, code=code)

    assert (first.status_code, second.json()) == (200, {"error": "invalid_grant"})
    token = first.json()["access_token"]
    told = await client.get(f"{PROVIDER}/userinfo", headers={"authorization": f"Bearer {token}"})
    assert (told.json()["sub"], told.json()["email"]) == ("1001", "erika@lampenladen.example")
    assert (await client.get(f"{PROVIDER}/userinfo")).status_code == 401


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": f"{BACK}1"}, "invalid_grant"),
        ({"client_id": "another"}, "invalid_grant"),
        ({"tenant": "another"}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
    ],
)
async def test_everything_has_to_fit(client: httpx2.AsyncClient, change: dict[str, str], error: str):
    assert (await _redeem(client, **change)).json() == {"error": error}


@pytest.mark.parametrize("missing", ["nonce", "state", "code_challenge", "scope"])
async def test_a_request_is_whole(client: httpx2.AsyncClient, missing: str):
    whole = {**ASKED, "response_type": "code", "code_challenge_method": "S256", "scope": "openid"}
    good = await client.get(f"{PROVIDER}/authorize", params=whole)
    bad = await client.get(
        f"{PROVIDER}/authorize", params={name: value for name, value in whole.items() if name != missing}
    )

    assert (good.status_code, bad.status_code) == (200, 400)
    assert "Erika Beispiel" in good.text


async def test_its_people_can_be_set(client: httpx2.AsyncClient):
    body = {"email": "neu@lampenladen.example", "name": "Neu", "groups": ["it"]}
    put = await client.put("/control/company-people/7", json=body)
    everybody = (await client.get("/control/company-people")).json()["people"]

    assert put.json()["methods"] == ["pwd"]
    assert everybody[-1]["email"] == "neu@lampenladen.example"
    assert (await client.put("/control/company-people/7", json={"email": "x"})).status_code == 422
