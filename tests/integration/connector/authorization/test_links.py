"""A link for who has to consent: good in one account, for some days, for whoever may authorize stores there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from services.connector.authorization.links import LinkExpired, LinkUnknown, Wish, link_of, wish_of
from shared.database import Sessions, new_id
from shared.keyring import Keyring
from tests.factories import make_account
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    CASA_VERDE,
    LAMPENLADEN,
    arrive,
    connect_named,
    consent,
    outcome,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def made(signed_in: SignedIn, body: Mapping[str, object]) -> str:
    answer = await signed_in.client.post("/api/v1/authorization-links", json=body)
    assert answer.status_code == 201, answer.text
    path: str = urlsplit(answer.json()["url"]).path
    assert path.startswith("/connect/link/")
    return path.rpartition("/")[2]


async def test_it_says_what_is_asked_for_and_by_whom(signed_in: SignedIn):
    integration_id = await connect_named(signed_in, "Lampen Europa")
    german = {"accept-language": "de"}

    of_country = await signed_in.client.get(
        f"/api/v1/authorization-links/{await made(signed_in, {'country': 'FR'})}", headers=german
    )
    of_integration = await signed_in.client.get(
        f"/api/v1/authorization-links/{await made(signed_in, {'integration_id': integration_id})}"
    )

    assert of_country.json() | {"asked_by": "", "expires_at": ""} == {
        "asked_by": "",
        "asked_by_program": False,
        "country": "FR",
        "country_name": "Frankreich",
        "integration_id": None,
        "integration_name": None,
        "expires_at": "",
        "authorized": None,
        "authorized_since": [],
    }
    assert of_country.json()["asked_by"]
    assert of_integration.json()["integration_name"] == "Lampen Europa"


async def test_it_says_which_stores_were_authorized_since_it_was_made(signed_in: SignedIn):
    links = [await made(signed_in, {"country": country}) for country in ("FR", "US")]
    integration_id = await connect_named(signed_in, "Lampen Europa")
    links += [await made(signed_in, body) for body in ({"country": "DE"}, {"integration_id": integration_id})]

    async def authorized(link: str) -> list[str]:
        answer = await signed_in.client.get(f"/api/v1/authorization-links/{link}")
        return [store["name"] for store in answer.json()["authorized_since"]]

    # The second is about another region; the last two were made after the consent.
    assert [await authorized(link) for link in links] == [["Lampen Europa"], [], [], []]


async def _agree(signed_in: SignedIn, begun: Mapping[str, str], seller_id: str = LAMPENLADEN) -> str | None:
    """Consent at Amazon to an attempt that was begun. The store's id, if that came of it."""
    await arrive(signed_in.client, await consent(begun["consent_url"], seller_id))
    found: str | None = (await outcome(signed_in.client, begun["id"]))["integration_id"]
    return found


async def test_it_is_spent_by_the_authorization_that_it_was_made_for(signed_in: SignedIn):
    """Somebody who opens it again sees what was authorized, and begins nothing. A failure spends nothing."""
    link = await made(signed_in, {"country": "DE"})
    body = {"link": link}
    read = f"/api/v1/authorization-links/{link}"
    begun = await signed_in.client.post("/api/v1/authorizations", json=body)
    before = (await signed_in.client.get(read)).json()["authorized"]

    integration_id = await _agree(signed_in, begun.json())

    after = (await signed_in.client.get(read)).json()["authorized"]
    # Base64 may be written in many ways; it stays the same link.
    again = [
        await signed_in.client.post("/api/v1/authorizations", json={"link": text})
        for text in (link, f"{link}=", f"{link[:9]}....{link[9:]}")
    ]
    other = await signed_in.client.post(
        "/api/v1/authorizations", json={"link": await made(signed_in, {"country": "DE"})}
    )
    assert (begun.json()["country"], before) == ("DE", None)
    assert after["integration_id"] == integration_id
    assert [(answer.status_code, answer.json()["code"]) for answer in again] == [(409, "link_spent")] * 3
    assert other.status_code == 201


async def test_a_link_for_an_integration_is_spent_by_whatever_has_authorized_it(signed_in: SignedIn):
    integration_id = await connect_named(signed_in, "Lampen Europa")
    link = await made(signed_in, {"integration_id": integration_id})
    tried = await signed_in.client.post("/api/v1/authorizations", json={"link": link})
    assert await _agree(signed_in, tried.json(), CASA_VERDE) is None
    assert (await signed_in.client.get(f"/api/v1/authorization-links/{link}")).json()["authorized"] is None
    begun = await signed_in.client.post("/api/v1/authorizations", json={"integration_id": integration_id})

    await _agree(signed_in, begun.json())

    answer = await signed_in.client.post("/api/v1/authorizations", json={"link": link})
    read = (await signed_in.client.get(f"/api/v1/authorization-links/{link}")).json()
    assert (answer.status_code, answer.json()["code"]) == (409, "link_spent")
    assert read["authorized"]["name"] == "Lampen Europa"


@pytest.mark.parametrize("body", [{"country": "XX"}, {"integration_id": str(new_id())}])
async def test_nothing_can_be_asked_for_that_is_not_there(signed_in: SignedIn, body: dict[str, object]):
    answer = await signed_in.client.post("/api/v1/authorization-links", json=body)

    assert answer.json()["code"] in {"unknown_country", "not_found"}


async def test_it_is_of_no_use_in_another_account_nor_after_its_time_nor_changed(
    sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        accounts = [await make_account(session, keyring, name=name) for name in ("Ours", "Theirs")]
    ours, theirs = [await keyring.of(sessions, account.id) for account in accounts]
    wish = Wish(new_id(), "DE", None, NOW + timedelta(days=7))
    link = link_of(ours, wish)

    assert wish_of(ours, link) == wish
    wish.refuse_if_over(NOW)
    with pytest.raises(LinkExpired):
        wish.refuse_if_over(NOW + timedelta(days=7))
    for keys, text in ((theirs, link), (ours, f"{link[:-2]}AA"), (ours, ""), (ours, "ä"), (ours, "A" * 43)):
        with pytest.raises(LinkUnknown):
            wish_of(keys, text)


async def test_an_attempt_that_waits_is_listed_until_it_has_an_outcome(signed_in: SignedIn):
    begun = (await signed_in.client.post("/api/v1/authorizations", json={"country": "DE"})).json()

    [waiting] = (await signed_in.client.get("/api/v1/authorizations")).json()["items"]

    assert (waiting["id"], waiting["status"]) == (begun["id"], "waiting")
    assert waiting["consent_url"] == begun["consent_url"]
