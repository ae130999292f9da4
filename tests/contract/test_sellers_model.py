"""The sandbox's Sellers API answers against Amazon's published model, where a copy of the model is at hand."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from jsonschema import Draft4Validator

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings

REPOSITORY = Path(__file__).resolve().parents[2]
USER_AGENT = "Replyco/0.1 (Language=Python/3.11)"
SELLERS = {"A1LAMPENLADEN7": "eu", "A2CASAVERDE34K": "eu", "A3BRIGHTPORCH9": "na", "A4HARBOURLITE2": "fe"}


@pytest.fixture(scope="module")
def model() -> Any:
    folder = Path(os.getenv("SP_API_MODELS") or REPOSITORY.parent / "shared" / "sp-api-models")
    file = folder / "sellers.json"
    if not file.is_file():
        pytest.skip("Amazon's model sellers.json is not here; set SP_API_MODELS to the folder that holds it")
    return json.loads(file.read_text("utf-8"))


def responses_of(model: Any) -> Any:
    return model["paths"]["/sellers/v1/marketplaceParticipations"]["get"]["responses"]


def assert_fits(model: Any, answer: httpx2.Response) -> None:
    """The status is one of the model's, the body fits its schema, and no header is one that the model does not name."""
    expected = responses_of(model)[str(answer.status_code)]
    Draft4Validator({**expected["schema"], "definitions": model["definitions"]}).validate(answer.json())
    named = {name.lower() for name in expected["headers"]}
    assert "x-amzn-requestid" in answer.headers
    assert {"x-amzn-ratelimit-limit"} & set(answer.headers) <= named


async def access_token(client: httpx2.AsyncClient, settings: SandboxSettings, seller_id: str) -> str:
    host = "/sellercentral.amazon.com"
    await client.post(f"{host}/ap/signin", data={"seller_id": seller_id})
    fields = {"application_id": settings.application_id, "state": "x", "consent": "yes", "action": "confirm"}
    back = await client.post(f"{host}/apps/authorize/consent", data=fields)
    code = parse_qs(urlsplit(back.headers["location"]).query)["spapi_oauth_code"][0]
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": settings.redirect_uris[0],
        "client_id": settings.client_id,
        "client_secret": settings.client_secret.get_secret_value(),
    }
    answer = await client.post("/api.amazon.com/auth/o2/token", data=grant)
    token: str = answer.json()["access_token"]
    return token


@pytest.mark.parametrize(("seller_id", "region"), SELLERS.items())
async def test_participations_fit_amazons_model(model: Any, seller_id: str, region: str) -> None:
    settings = SandboxSettings()
    transport = httpx2.ASGITransport(create_app(settings))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
        token = await access_token(client, settings, seller_id)
        path = f"/sellingpartnerapi-{region}.amazon.com/sellers/v1/marketplaceParticipations"
        headers = {"x-amz-access-token": token, "user-agent": USER_AGENT}

        good = await client.get(path, headers=headers)
        bad_agent = await client.get(path, headers={**headers, "user-agent": "x"})
        forbidden = await client.get(path, headers={**headers, "x-amz-access-token": "x"})
        throttled = [await client.get(path, headers=headers) for _ in range(15)][-1]

    assert [a.status_code for a in (good, bad_agent, forbidden, throttled)] == [200, 400, 403, 429]
    for answer in (good, bad_agent, forbidden, throttled):
        assert_fits(model, answer)
    assert len(good.json()["payload"]) >= 3
