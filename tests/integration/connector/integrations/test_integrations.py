"""Naming, listing, the guide, the lock and disconnecting, over the API."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from shared.addresses import LOCAL_PART_LENGTH
from shared.channels import ADDRESS_CHANNEL, EVENT_CHANNEL
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.marketplaces import BY_COUNTRY
from shared.tables import Grant, Integration, MarketplaceParticipation, RelayAddress
from tests.conftest import Database
from tests.factories import make_account, make_grant, make_integration, make_relay_address
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import CASA_VERDE, Amazon, connect, connect_named, tick_all
from tests.no_tls import NO_AUTHORITIES
from tests.statements import sent_statements

SignInAs = Callable[..., Awaitable[SignedIn]]


@pytest.fixture
async def heard(database: Database) -> AsyncIterator[list[tuple[str, str]]]:
    """What relays and browsers are told: channel and payload, in order."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url("replyco_connector")))
    messages: list[tuple[str, str]] = []
    for channel in (ADDRESS_CHANNEL, EVENT_CHANNEL):
        await connection.add_listener(
            channel, lambda _c, _pid, name, payload: messages.append((name, payload))
        )
    yield messages
    await connection.close()


async def test_the_first_name_brings_the_address(
    signed_in: SignedIn, sessions: Sessions, heard: list[tuple[str, str]]
):
    integration_id = (await connect(signed_in.client))["integration_id"]

    answer = await signed_in.client.patch(
        f"/api/v1/integrations/{integration_id}", json={"name": "  Europa "}
    )

    assert answer.status_code == 200
    named = answer.json()
    assert named["name"] == "Europa"
    local_part, _, domain = named["address"].partition("@")
    assert (len(local_part), domain) == (LOCAL_PART_LENGTH, "replyco.email")
    listed = (await signed_in.client.get("/api/v1/integrations")).json()["items"]
    assert listed[0]["address"] == named["address"]
    async with sessions.begin() as session:
        address_id = await session.scalar(select(RelayAddress.id))
    assert (ADDRESS_CHANNEL, str(address_id)) in heard
    # Whoever may connect may listen: it tells them an id, and nothing else.
    assert all(re.fullmatch("[0-9a-f-]{36}", payload) for _, payload in heard)


async def test_a_later_name_keeps_the_address(signed_in: SignedIn):
    integration_id = await connect_named(signed_in, "Europa")
    path = f"/api/v1/integrations/{integration_id}"
    before = (await signed_in.client.get(path)).json()["address"]

    after = (await signed_in.client.patch(path, json={"name": "Amazon EU"})).json()

    assert (after["name"], after["address"]) == ("Amazon EU", before)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name_empty"),
        (" \t\n ", "name_empty"),
        ("\u200b\u202e", "name_empty"),
        ("x" * 61, "name_too_long"),
    ],
)
async def test_a_name_that_breaks_the_rules_is_refused(signed_in: SignedIn, name: str, code: str):
    integration_id = (await connect(signed_in.client))["integration_id"]
    path = f"/api/v1/integrations/{integration_id}"

    answer = await signed_in.client.patch(path, json={"name": name})

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await signed_in.client.get(path)).json()["address"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": None},
        {"name": "Europa", "region": "na"},
        {"name": 7},
        [],
        {"paused": None},
        {"owner_id": None},
    ],
)
async def test_a_body_of_another_shape_is_refused(signed_in: SignedIn, body: object):
    integration_id = (await connect(signed_in.client))["integration_id"]

    answer = await signed_in.client.patch(f"/api/v1/integrations/{integration_id}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("name", ["Europa", "EUROPA", " europa ", "\uff25uropa"])
async def test_a_name_is_unique_in_the_account_whatever_its_case(signed_in: SignedIn, name: str):
    await connect_named(signed_in, "Europa")
    other = (await connect(signed_in.client, CASA_VERDE))["integration_id"]

    answer = await signed_in.client.patch(f"/api/v1/integrations/{other}", json={"name": name})

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert (await signed_in.client.get(f"/api/v1/integrations/{other}")).json()["address"] is None


async def test_a_name_is_free_again_after_disconnecting(signed_in: SignedIn):
    first = await connect_named(signed_in, "Europa")
    await signed_in.client.delete(f"/api/v1/integrations/{first}")

    second = await connect_named(signed_in, "Europa", CASA_VERDE)

    assert second != first


async def test_naming_twice_at_once_makes_one_address(signed_in: SignedIn, sessions: Sessions):
    integration_id = (await connect(signed_in.client))["integration_id"]

    answers = await asyncio.gather(
        *(
            signed_in.client.patch(f"/api/v1/integrations/{integration_id}", json={"name": f"Name {i}"})
            for i in range(6)
        )
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["address"] for answer in answers}) == 1
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(RelayAddress)) == 1


async def test_of_two_stores_that_want_one_name_one_gets_it(signed_in: SignedIn):
    ids = [(await connect(signed_in.client))["integration_id"]]
    ids.append((await connect(signed_in.client, CASA_VERDE))["integration_id"])

    answers = await asyncio.gather(
        *(signed_in.client.patch(f"/api/v1/integrations/{each}", json={"name": "Europa"}) for each in ids)
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def message_came(sessions: Sessions) -> None:
    """What the mail worker stores of a buyer's first message."""
    async with sessions.begin() as session:
        await session.execute(
            update(Integration).values(last_message_at=func.now(), first_authentic_mail_at=func.now())
        )


async def test_ticking_every_step_is_not_enough_for_a_green_lock(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    assert (await signed_in.client.get(path)).json()["lock"]["state"] == "pending"

    await tick_all(signed_in.client, path)

    integration = (await signed_in.client.get(path)).json()
    assert integration["lock"]["state"] == "pending"
    assert integration["summary"] == {
        "code": "no_message",
        "text": "Set up, but no message yet.",
        "countries": [],
    }
    assert [check["code"] for check in integration["checks"]] == ["mail_first"]


async def test_opening_a_step_again_makes_the_lock_pending_until_mail_has_come(
    signed_in: SignedIn, sessions: Sessions
):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    await message_came(sessions)
    await tick_all(signed_in.client, path)
    assert (await signed_in.client.get(path)).json()["lock"]["state"] == "green"

    answer = await signed_in.client.put(f"{path}/setup-steps/seller_profile/DE", json={"done": False})

    assert answer.json()["done_at"] is None
    german = {"accept-language": "de"}
    [listed] = (await signed_in.client.get("/api/v1/integrations", headers=german)).json()["items"]
    assert listed["lock"]["state"] == "pending"
    assert listed["summary"] == {
        "code": "countries_open",
        "text": "Nachrichten kommen an. Für Deutschland fehlt noch die Einrichtung.",
        "countries": ["DE"],
    }
    assert (await signed_in.client.get(path, headers=german)).json()["summary"] == listed["summary"]


async def test_the_guide_has_each_country_and_its_own_host(signed_in: SignedIn, amazon: Amazon):
    path = f"/api/v1/integrations/{await connect_named(signed_in, 'Casa', CASA_VERDE)}"

    items = (await signed_in.client.get(f"{path}/setup-steps", headers={"accept-language": "de"})).json()[
        "items"
    ]

    assert [(item["step"], item["country"]) for item in items] == [
        ("order_report_columns", "DE"),
        *(("seller_profile", country) for country in ("ES", "GB", "NL")),
        *(("notification_preferences", country) for country in ("ES", "GB", "NL")),
        *(("approved_sender", country) for country in ("ES", "GB", "NL")),
    ]
    dutch = items[-1]
    assert dutch["country_name"] == "Niederlande"
    assert dutch["url"].startswith(f"{amazon.url}/{BY_COUNTRY['NL'].seller_central_host}/")


async def test_every_link_of_the_guide_leads_to_a_page(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    items = (await signed_in.client.get(f"{path}/setup-steps")).json()["items"]

    async with httpx2.AsyncClient(verify=NO_AUTHORITIES) as browser:
        answers = [await browser.get(item["url"]) for item in items]

    # Not signed in at the sandbox: the pages send to the sign-in; an unknown path would answer 404.
    assert {answer.status_code for answer in answers} == {303}


@pytest.mark.parametrize("step", ["seller_profile/US", "seller_profile/XX", "order_report_columns/FR"])
async def test_a_step_that_the_guide_does_not_have_is_not_found(signed_in: SignedIn, step: str):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"

    answer = await signed_in.client.put(f"{path}/setup-steps/{step}", json={"done": True})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_ticking_twice_is_the_same_as_once(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    first = await signed_in.client.put(f"{path}/setup-steps/seller_profile/DE", json={"done": True})

    second = await signed_in.client.put(f"{path}/setup-steps/seller_profile/DE", json={"done": True})

    assert second.json() == first.json()


async def test_the_list_pages_by_keyset_and_shows_columns_only(
    signed_in: SignedIn, sessions: Sessions, app: FastAPI, amazon: Amazon
):
    async with sessions.begin() as session:
        made = [
            await make_integration(session, signed_in.account.id, name=f"Store {number:02}")
            for number in range(7)
        ]
        for integration in made:
            await make_relay_address(session, integration)

    async with sent_statements(app.state.connector.sessions.kw["bind"].sync_engine) as statements:
        first = (await signed_in.client.get("/api/v1/integrations?limit=5")).json()
    second = (
        await signed_in.client.get(
            "/api/v1/integrations", params={"limit": 5, "cursor": first["next_cursor"]}
        )
    ).json()

    names = [item["name"] for item in first["items"] + second["items"]]
    assert names == [f"Store {number:02}" for number in range(7)]
    assert second["next_cursor"] is None
    assert len([s for s in statements if "FROM integrations" in s]) == 1
    assert amazon.state.counters.token.total() == 0


async def test_other_accounts_integrations_are_not_found(
    signed_in: SignedIn, sign_in_as: SignInAs, sessions: Sessions, keyring: Keyring
):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    async with sessions.begin() as session:
        other_account = await make_account(session, keyring)
    other = (await sign_in_as(of=other_account)).client

    answers = [
        await other.get(path),
        await other.patch(path, json={"name": "Mine"}),
        await other.delete(path),
        await other.post(f"{path}/restoration", json={}),
        await other.get(f"{path}/setup-steps"),
        await other.put(f"{path}/setup-steps/seller_profile/DE", json={"done": True}),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert (await other.get("/api/v1/integrations")).json()["items"] == []
    assert (await signed_in.client.get(path)).json()["name"] == "Amazon Europa"


async def test_the_seller_id_is_masked(signed_in: SignedIn):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"

    answer = await signed_in.client.get(path)

    assert answer.json()["account"] == {"store_name": "Lampenladen", "seller_id_masked": "A1…EN7"}
    assert "LAMPENLADEN" not in answer.text


async def test_a_consent_that_has_run_out_makes_the_lock_red_and_a_new_one_cures_it(
    signed_in: SignedIn, sessions: Sessions
):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    await message_came(sessions)
    await tick_all(signed_in.client, path)
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(consented_at=datetime.now(UTC) - timedelta(days=366)))
    await signed_in.client.put(f"{path}/setup-steps/seller_profile/DE", json={"done": True})

    red = (await signed_in.client.get(path, headers={"accept-language": "de"})).json()
    [listed] = (await signed_in.client.get("/api/v1/integrations")).json()["items"]
    await connect(signed_in.client)
    green = (await signed_in.client.get(path)).json()

    assert red["lock"]["state"] == "red"
    assert red["checks"][0]["code"] == "consent_expiring"
    assert red["checks"][0]["title"] == "Zustimmung abgelaufen"
    assert red["summary"]["text"] == "Bitte handeln: Zustimmung abgelaufen."
    assert (listed["reason"]["code"], listed["reason"]["action"]) == ("consent_expiring", "reauthorize")
    assert listed["sync"]["status"] == "failed"
    assert green["lock"]["state"] == "green"


async def test_an_integration_without_a_grant_is_red_only_where_the_seller_can_act(
    signed_in: SignedIn, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        without = await make_integration(session, signed_in.account.id, name="Without")
        granted = await make_integration(session, signed_in.account.id, name="Granted")
        await make_grant(session, keyring, granted)

    answers = [
        (await signed_in.client.get(f"/api/v1/integrations/{each.id}")).json() for each in (without, granted)
    ]

    assert answers[0]["checks"][0]["code"] == "grant_missing"
    assert answers[0]["consent_expires_at"] is None
    assert "grant_missing" not in [check["code"] for check in answers[1]["checks"]]


async def test_suspended_listings_are_told_but_do_not_turn_the_lock(signed_in: SignedIn, sessions: Sessions):
    path = f"/api/v1/integrations/{await connect_named(signed_in)}"
    await message_came(sessions)
    await tick_all(signed_in.client, path)
    async with sessions.begin() as session:
        await session.execute(
            update(MarketplaceParticipation)
            .where(MarketplaceParticipation.country == "FR")
            .values(has_suspended_listings=True)
        )

    integration = (await signed_in.client.get(path)).json()

    assert integration["lock"]["state"] == "green"
    suspended = integration["checks"][0]
    assert (suspended["code"], suspended["state"]) == ("account_suspended", "amber")
    assert "France" in suspended["text"]
