"""What tests of scenarios share: switching them on and off, and the calls that they change."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.integration.sandbox.conftest import Seller


async def on(seller: Seller, name: str, **limits: Any) -> None:
    answer = await seller.client.post(f"/control/scenarios/{name}", json=limits)
    assert answer.status_code == 200


async def off(seller: Seller, name: str) -> None:
    assert (await seller.client.delete(f"/control/scenarios/{name}")).status_code == 200


async def refresh(seller: Seller, tokens: dict[str, str]) -> httpx2.Response:
    return await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])


def query_of(answer: httpx2.Response) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
