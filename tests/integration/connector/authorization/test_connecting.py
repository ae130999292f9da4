"""The first walk, from "Authorize" to a connected store."""

import pytest
from sqlalchemy import select

from shared.database import Sessions
from shared.marketplaces import BY_COUNTRY, countries_of
from shared.tables import Grant
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    BRIGHT_PORCH,
    CASA_VERDE,
    HARBOUR_LIGHTS,
    LAMPENLADEN,
    Amazon,
    begin,
    connect,
    query_of,
)


@pytest.mark.parametrize(
    ("country", "seller_id", "sells_in"),
    [
        ("DE", LAMPENLADEN, {"DE", "FR", "IT"}),
        ("GB", CASA_VERDE, {"ES", "GB", "NL"}),
        ("US", BRIGHT_PORCH, {"US", "CA", "MX"}),
        ("AU", HARBOUR_LIGHTS, {"AU", "JP", "SG"}),
    ],
)
async def test_a_store_of_each_region_is_connected(
    signed_in: SignedIn, sessions: Sessions, country: str, seller_id: str, sells_in: set[str]
):
    attempt = await connect(signed_in.client, seller_id, country)

    assert attempt["status"] == "connected"
    assert attempt["problem"] is None
    assert attempt["consent_url"] is None
    answer = await signed_in.client.get(f"/api/v1/integrations/{attempt['integration_id']}")
    integration = answer.json()
    assert integration["region"] == BY_COUNTRY[country].region
    assert integration["home_country"] == country
    assert integration["name"] is None
    assert integration["address"] is None
    assert integration["lock"]["state"] == "pending"
    assert {c["country"] for c in integration["countries"]} == sells_in
    async with sessions.begin() as session:
        grant = (await session.scalars(select(Grant))).one()
        assert grant.seller_id == seller_id
        assert b"Atzr" not in grant.refresh_token.ciphertext


async def test_the_consent_url_names_only_what_amazon_expects(signed_in: SignedIn, amazon: Amazon):
    attempt = await begin(signed_in.client, "DE")

    url = attempt["consent_url"]
    assert url.startswith(f"{amazon.url}/sellercentral-europe.amazon.com/apps/authorize/consent?")
    assert query_of(url).keys() == {"application_id", "state", "redirect_uri"}
    assert len(query_of(url)["state"]) == 43
    assert [c["country"] for c in attempt["covers"]] == list(countries_of(BY_COUNTRY["DE"].region))
