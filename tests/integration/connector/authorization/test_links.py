"""A link for who has to consent: good in one account, for some days, for whoever may authorize stores there."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy import func, select

from services.connector.authorization.links import LinkExpired, LinkUnknown, Wish, link_of, wish_of
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import Grant, Integration
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
        "begun": [],
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


SignIn = Callable[..., Awaitable[SignedIn]]


async def test_who_opens_a_link_with_which_another_one_has_begun_is_told_so(
    signed_in: SignedIn, sign_in_as: SignIn
):
    link = await made(signed_in, {"country": "DE"})
    colleague = await sign_in_as()
    attempt = (await signed_in.client.post("/api/v1/authorizations", json={"link": link})).json()
    await signed_in.client.post("/api/v1/authorizations", json={"link": link})

    async def begun_by(client: httpx2.AsyncClient) -> list[str]:
        answer = await client.get(f"/api/v1/authorization-links/{link}")
        return [each["name"] for each in answer.json()["begun"]]

    during = await begun_by(colleague.client), await begun_by(signed_in.client)
    await _agree(signed_in, attempt)
    spent = (await colleague.client.get(f"/api/v1/authorization-links/{link}")).json()["authorized"]

    assert during == ([signed_in.user.name], [])
    assert spent is not None


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
async def test_of_two_people_with_one_link_one_connects_a_store(
    *, signed_in: SignedIn, sign_in_as: SignIn, sessions: Sessions, at_once: bool
):
    """Both have begun before either has come back, and consent for different stores."""
    link = await made(signed_in, {"country": "DE"})
    people = [signed_in, await sign_in_as()]
    attempts = [
        (await person.client.post("/api/v1/authorizations", json={"link": link})).json() for person in people
    ]
    addresses = [
        await consent(attempt["consent_url"], seller_id)
        for attempt, seller_id in zip(attempts, (LAMPENLADEN, CASA_VERDE), strict=True)
    ]
    arriving = [arrive(person.client, address) for person, address in zip(people, addresses, strict=True)]
    if at_once:
        await asyncio.gather(*arriving)
    else:
        for one in arriving:
            await one

    ended = [await outcome(signed_in.client, attempt["id"]) for attempt in attempts]
    problems = [each["problem"] and each["problem"]["code"] for each in ended]
    assert sorted(problems, key=str) == [None, "link_spent"]
    if not at_once:
        assert problems == [None, "link_spent"]
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Integration)) == 1
        assert await session.scalar(select(func.count()).select_from(Grant)) == 1


async def test_two_people_with_one_link_may_mean_the_same_store(signed_in: SignedIn, sign_in_as: SignIn):
    link = await made(signed_in, {"country": "DE"})
    colleague = await sign_in_as()
    hers = (await signed_in.client.post("/api/v1/authorizations", json={"link": link})).json()
    theirs = (await colleague.client.post("/api/v1/authorizations", json={"link": link})).json()

    connected = await _agree(signed_in, hers)
    again = await _agree(colleague, theirs)

    assert connected is not None
    assert again == connected
    assert (await outcome(signed_in.client, theirs["id"]))["status"] == "reauthorized"


async def test_another_browser_is_led_to_where_it_began(
    *,
    signed_in: SignedIn,
    sign_in_as: SignIn,
    nobody: httpx2.AsyncClient,
    sessions: Sessions,
    keyring: Keyring,
):
    """At the store that was meant, at its country, or by the link; but nobody else learns what was meant."""
    integration_id = await connect_named(signed_in, "Lampen Europa")
    async with sessions.begin() as session:
        other = await make_account(session, keyring, name="Theirs")
    colleague, stranger = await sign_in_as(), await sign_in_as(of=other)
    agent = await sign_in_as(general_admin="none")
    bodies = (
        {"integration_id": integration_id},
        {"country": "FR"},
        {"link": await made(signed_in, {"country": "DE"})},
    )

    led: list[list[str]] = []
    for body in bodies:
        attempt = (await signed_in.client.post("/api/v1/authorizations", json=body)).json()
        address = await consent(attempt["consent_url"], LAMPENLADEN)
        answers = [
            await arrive(each, address) for each in (colleague.client, stranger.client, agent.client, nobody)
        ]
        led.append(
            [answer.headers["location"].removeprefix("/connect/problem/other_browser") for answer in answers]
        )

    assert led == [
        [f"?integration={integration_id}", "", "", ""],
        ["?country=FR", "", "", ""],
        ["?by=link", "", "", ""],
    ]
