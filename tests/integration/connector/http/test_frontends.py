"""Other frontends: browsers let the scripts of named origins use the API, with an API key and nothing else."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest

from services.connector.app import create_app
from services.connector.settings import ConnectorSettings
from tests.integration.connector.conftest import open_client

ORIGIN = "https://helpdesk.example"
ASKS = {
    "access-control-request-method": "PATCH",
    "access-control-request-headers": "authorization, content-type, if-match",
}


async def test_a_named_frontend_is_let_in_with_a_key_and_no_cookie(
    settings: ConnectorSettings, api_key_client: Callable[..., Awaitable[httpx2.AsyncClient]]
):
    authorization = (await api_key_client()).headers["authorization"]
    app = create_app(settings.model_copy(update={"frontend_origins": ORIGIN}))
    async with app.router.lifespan_context(app), open_client(app, origin=ORIGIN) as client:
        may = await client.options("/api/v1/conversations", headers=ASKS)
        read = await client.get("/api/v1/integrations", headers={"authorization": authorization})
        failed = await client.get("/api/v1/integrations")

    assert may.status_code == 200
    assert "PATCH" in may.headers["access-control-allow-methods"]
    assert read.status_code == 200
    assert "ETag" in read.headers["access-control-expose-headers"]
    for answer in (may, read, failed):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://elsewhere.example",
        "http://helpdesk.example",
        "https://helpdesk.example.elsewhere.example",
        "null",
    ],
)
async def test_no_other_origin_is_let_in(settings: ConnectorSettings, origin: str):
    app = create_app(settings.model_copy(update={"frontend_origins": ORIGIN}))
    async with app.router.lifespan_context(app), open_client(app, origin=origin) as client:
        answers = [
            await client.options("/api/v1/conversations", headers=ASKS),
            await client.get("/api/v1/integrations"),
        ]

    assert [answer.status_code for answer in answers] == [400, 401]
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)


async def test_asking_what_an_address_may_be_asked_is_no_preflight(settings: ConnectorSettings):
    app = create_app(settings.model_copy(update={"frontend_origins": ORIGIN}))
    async with app.router.lifespan_context(app), open_client(app, origin=ORIGIN) as client:
        asked = await client.options("/api/v1/webhooks")
        unknown = await client.options("/api/v1/nothing")

    assert (asked.status_code, asked.headers["allow"]) == (204, "GET, OPTIONS, POST")
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert unknown.status_code == 404
