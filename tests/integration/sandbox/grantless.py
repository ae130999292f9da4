"""Calls of the application without a seller, with a token of a scope."""

from typing import Any

import httpx2

from tests.integration.sandbox.conftest import USER_AGENT, Seller

NOTIFICATIONS = "sellingpartnerapi::notifications"


async def grantless(seller: Seller, scope: str, **fields: str) -> str:
    answer = await seller.token(grant_type="client_credentials", scope=scope, **fields)
    token: str = answer.json()["access_token"]
    return token


async def call(seller: Seller, method: str, path: str, token: str, json: Any = None) -> httpx2.Response:
    headers = {"x-amz-access-token": token, "user-agent": USER_AGENT}
    return await seller.client.request(method, path, headers=headers, json=json)
