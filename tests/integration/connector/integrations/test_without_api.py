"""A store without Amazon's API: its address works, its countries are its seller's word, and Amazon may be asked later."""

import httpx2
import pytest
from sqlalchemy import func, select, update

from services.connector.integrations import service
from shared.database import Sessions
from shared.jobs import Job
from shared.tables import Integration
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    CASA_VERDE,
    LAMPENLADEN,
    arrive,
    connect_named,
    consent,
    outcome,
    tick_all,
)

STORE = {"name": "Lampen", "country": "DE", "countries": ["DE", "FR"]}


async def add(client: httpx2.AsyncClient, **fields: object) -> dict[str, object]:
    answer = await client.post("/api/v1/integrations", json=STORE | fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def authorize(client: httpx2.AsyncClient, integration_id: str) -> dict[str, object]:
    """The walk through Amazon for this integration. The attempt with its outcome."""
    begun = await client.post("/api/v1/authorizations", json={"integration_id": integration_id})
    assert begun.status_code == 201, begun.text
    await arrive(client, await consent(begun.json()["consent_url"], LAMPENLADEN))
    return await outcome(client, begun.json()["id"])


async def test_it_has_an_address_and_a_guide_for_the_countries_that_its_seller_named(signed_in: SignedIn):
    added = await add(signed_in.client)
    path = f"/api/v1/integrations/{added['id']}"

    steps = (await signed_in.client.get(f"{path}/setup-steps")).json()["items"]

    assert str(added["address"]).endswith("@replyco.email")
    assert (added["uses_api"], added["account"]) == (False, {"store_name": None, "seller_id_masked": None})
    assert added["sync"] == {"status": "never", "at": None, "orders": None}
    assert {(step["step"], step["country"]) for step in steps} == {
        (step, country)
        for step in ("seller_profile", "notification_preferences", "approved_sender")
        for country in ("DE", "FR")
    }
    assert [check["code"] for check in added["checks"]] == ["setup_incomplete", "mail_first"]  # type: ignore[attr-defined]
    assert added["lock"]["state"] == "pending"  # type: ignore[index]


async def test_its_lock_turns_green_by_mail_and_steps_as_any_others(signed_in: SignedIn, sessions: Sessions):
    path = f"/api/v1/integrations/{(await add(signed_in.client))['id']}"
    await tick_all(signed_in.client, path)
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(last_message_at=func.now()))

    shown = (await signed_in.client.get(path)).json()

    assert (shown["lock"]["state"], shown["checks"]) == ("green", [])


async def test_its_countries_can_be_changed_within_its_region(signed_in: SignedIn):
    path = f"/api/v1/integrations/{(await add(signed_in.client))['id']}"

    changed = await signed_in.client.put(f"{path}/countries", json={"countries": ["IT", "ES"]})
    elsewhere = await signed_in.client.put(f"{path}/countries", json={"countries": ["IT", "US"]})
    unknown = await signed_in.client.put(f"{path}/countries", json={"countries": ["XX"]})

    assert [each["country"] for each in changed.json()["countries"]] == ["IT", "ES"]
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "country_outside_region")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "country_outside_region")


async def test_of_an_authorized_store_amazon_names_the_countries(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"

    answer = await signed_in.client.put(f"{path}/countries", json={"countries": ["IT"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "countries_by_amazon")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"name": "  "}, 422, "name_empty"),
        ({"name": "LAMPEN"}, 409, "name_taken"),
        ({"name": "Andere", "country": "XX"}, 422, "country_outside_region"),
        ({"name": "Andere", "countries": ["US"]}, 422, "country_outside_region"),
    ],
)
async def test_what_cannot_be_added_says_why(
    signed_in: SignedIn, fields: dict[str, object], status: int, code: str
):
    await add(signed_in.client)

    answer = await signed_in.client.post("/api/v1/integrations", json=STORE | fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_authorized_later_it_keeps_name_and_address_and_becomes_amazons_store(signed_in: SignedIn):
    added = await add(signed_in.client)

    attempt = await authorize(signed_in.client, str(added["id"]))

    path = f"/api/v1/integrations/{added['id']}"
    shown = (await signed_in.client.get(path)).json()
    assert attempt["integration_id"] == added["id"]
    assert (shown["uses_api"], shown["name"], shown["address"]) == (True, "Lampen", added["address"])
    assert [each["country"] for each in shown["countries"] if each["is_participating"]] == ["DE", "FR", "IT"]


async def test_authorized_with_a_store_that_is_connected_already_it_stays_as_it_was(signed_in: SignedIn):
    connected = await connect_named(signed_in, "Europa")
    added = await add(signed_in.client)

    attempt = await authorize(signed_in.client, str(added["id"]))

    shown = (await signed_in.client.get(f"/api/v1/integrations/{added['id']}")).json()
    assert (attempt["integration_id"], shown["uses_api"]) == (connected, False)


async def test_nothing_is_asked_of_amazon_for_it(signed_in: SignedIn, sessions: Sessions):
    path = f"/api/v1/integrations/{(await add(signed_in.client))['id']}"
    await signed_in.client.patch(path, json={"paused": True})
    await signed_in.client.patch(path, json={"paused": False})

    assert await service.enqueue_for_all(sessions, Job.REFRESH_PARTICIPATIONS) == 0
    shown = (await signed_in.client.get(path)).json()
    assert (shown["sync"]["status"], shown["lock"]["state"]) == ("never", "pending")


async def test_two_of_them_do_not_stand_in_each_others_way(signed_in: SignedIn, sessions: Sessions):
    await add(signed_in.client)
    await add(signed_in.client, name="Lampen 2")
    await connect_named(signed_in, "Casa", CASA_VERDE)

    async with sessions.begin() as session:
        sellers = list(await session.scalars(select(Integration.seller_id).order_by(Integration.id)))
    assert sellers[:2] == [None, None]
    assert sellers[2] is not None
