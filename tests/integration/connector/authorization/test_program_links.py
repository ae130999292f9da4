"""A program starts an authorization: it makes a link, somebody's browser opens it, and the program learns what came of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import func, select, update

from services.connector.accounts.callers import Caller
from services.connector.authorization import service
from services.connector.authorization.links import PROGRAM_LINK_LIFETIME, LinkExpired
from services.connector.throttling.limits import PROGRAM_LINKS
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import ApiKey, AuditEntry, User
from tests.factories import make_account
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, arrive, consent, outcome

NewProgram = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def program(api_key_client: NewProgram) -> httpx2.AsyncClient:
    return await api_key_client(general_admin="edit")


async def made(program: httpx2.AsyncClient) -> str:
    answer = await program.post("/api/v1/authorization-links", json={"country": "DE"})
    assert answer.status_code == 201, answer.text
    lifetime = datetime.fromisoformat(answer.json()["expires_at"]) - datetime.now(UTC)
    assert PROGRAM_LINK_LIFETIME / 2 < lifetime <= PROGRAM_LINK_LIFETIME
    link: str = urlsplit(answer.json()["url"]).path.rpartition("/")[2]
    return link


async def read(client: httpx2.AsyncClient, link: str) -> httpx2.Response:
    return await client.get(f"/api/v1/authorization-links/{link}")


async def begun(client: httpx2.AsyncClient, link: str) -> httpx2.Response:
    return await client.post("/api/v1/authorizations", json={"link": link})


async def test_a_store_is_connected_by_a_program_s_link(
    program: httpx2.AsyncClient, signed_in: SignedIn, sessions: Sessions
):
    """Every step but the consent is asked for over REST; the program sees neither state nor consent address."""
    link = await made(program)
    seen = (await read(signed_in.client, link)).json()
    attempt = (await begun(signed_in.client, link)).json()
    watched = await program.get(f"/api/v1/authorizations/{attempt['id']}")
    before = (await read(program, link)).json()

    await arrive(signed_in.client, await consent(attempt["consent_url"], LAMPENLADEN))

    assert (seen["asked_by"], seen["asked_by_program"], seen["country"]) == ("Helpdesk", True, "DE")
    assert [each["name"] for each in before["begun"]] == [signed_in.user.name]
    assert (watched.json()["status"], watched.json()["consent_url"], before["authorized"]) == (
        "waiting",
        None,
        None,
    )
    connected = await outcome(program, attempt["id"])
    assert connected["status"] == "connected"
    assert (await read(program, link)).json()["authorized"]["integration_id"] == connected["integration_id"]
    async with sessions() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
        key_id = await session.scalar(select(ApiKey.id))
    assert [(entry.action, entry.actor_kind) for entry in entries[:2]] == [
        ("authorization_link_made", "api_key"),
        ("authorization_begun", "user"),
    ]
    assert (entries[0].actor_id, entries[1].actor_id) == (key_id, signed_in.user.id)


async def test_a_program_can_begin_nothing_itself(program: httpx2.AsyncClient):
    answers = [
        await begun(program, await made(program)),
        await program.post("/api/v1/authorizations", json={"country": "DE"}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "browser_required")
    ] * 2


async def test_who_steals_a_link_gets_nothing_by_it(
    *,
    program: httpx2.AsyncClient,
    sign_in_as: Callable[..., Awaitable[SignedIn]],
    nobody: httpx2.AsyncClient,
    api_key_client: NewProgram,
    sessions: Sessions,
    keyring: Keyring,
    amazon: Amazon,
):
    """Nobody, somebody of another account, another account's program, and a colleague who may not authorize."""
    link = await made(program)
    async with sessions.begin() as session:
        other = await make_account(session, keyring, name="Theirs")
    stranger, agent = await sign_in_as(of=other), await sign_in_as(general_admin="view")
    thieves = (nobody, stranger.client, agent.client, await api_key_client(of=other))

    answers = [(await read(thief, link), await begun(thief, link)) for thief in thieves]

    assert [[answer.json()["code"] for answer in each] for each in answers] == [
        ["not_signed_in", "not_signed_in"],
        ["link_unknown", "link_unknown"],
        ["permission_missing", "permission_missing"],
        ["link_unknown", "browser_required"],
    ]
    assert amazon.state.counters.token.total() == 0


async def test_the_attempt_is_of_the_browser_that_began_it_whoever_else_has_the_link(
    program: httpx2.AsyncClient, sign_in_as: Callable[..., Awaitable[SignedIn]]
):
    """A colleague with the same link, and the address with which Amazon sends somebody else back."""
    link = await made(program)
    erika, jana = await sign_in_as(), await sign_in_as()
    hers = (await begun(erika.client, link)).json()
    janas = (await begun(jana.client, link)).json()
    callback_url = await consent(hers["consent_url"], LAMPENLADEN)

    elsewhere = await arrive(jana.client, callback_url)
    here = await arrive(erika.client, callback_url)

    assert hers["consent_url"] != janas["consent_url"]
    assert elsewhere.headers["location"].startswith("/connect/problem/other_browser")
    assert here.headers["location"] == f"/connect/{hers['id']}"
    assert (await outcome(erika.client, hers["id"]))["status"] == "connected"
    assert (await outcome(jana.client, janas["id"]))["status"] == "waiting"


async def test_a_link_is_good_for_one_authorization_and_tells_of_it_after_its_time(
    *, program: httpx2.AsyncClient, signed_in: SignedIn, sessions: Sessions, keyring: Keyring
):
    link = await made(program)
    attempt = (await begun(signed_in.client, link)).json()
    await arrive(signed_in.client, await consent(attempt["consent_url"], LAMPENLADEN))
    caller = Caller(signed_in.account.id, signed_in.user.id, {}, session_id=signed_in.session_id)
    later = datetime.now(UTC) + PROGRAM_LINK_LIFETIME

    again = await begun(signed_in.client, link)
    authorized = (await service.read_link(sessions, keyring, caller, link, later)).authorized
    unused = await made(program)
    later = datetime.now(UTC) + PROGRAM_LINK_LIFETIME
    with pytest.raises(LinkExpired):
        await service.read_link(sessions, keyring, caller, unused, later)

    assert (again.status_code, again.json()["code"]) == (409, "link_spent")
    assert authorized is not None
    assert authorized.integration_id == UUID((await outcome(program, attempt["id"]))["integration_id"])


@pytest.mark.parametrize("ended", ["revoked", "expired", "creator"])
async def test_with_its_key_a_link_ends(
    program: httpx2.AsyncClient, signed_in: SignedIn, sessions: Sessions, ended: str
):
    link = await made(program)
    key = select(ApiKey.created_by)
    changes = {
        "revoked": update(ApiKey).values(revoked_at=func.now()),
        "expired": update(ApiKey).values(expires_at=func.now() - timedelta(minutes=1)),
        "creator": update(User).where(User.id.in_(key)).values(disabled_at=func.now()),
    }
    async with sessions.begin() as session:
        await session.execute(changes[ended])

    answers = [await read(signed_in.client, link), await begun(signed_in.client, link)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(410, "link_expired")] * 2


async def test_a_program_makes_a_bounded_number_of_links(program: httpx2.AsyncClient):
    answers = [await program.post("/api/v1/authorization-links", json={"country": "DE"})]
    while answers[-1].status_code == 201:
        answers.append(await program.post("/api/v1/authorization-links", json={"country": "DE"}))

    assert len(answers) > PROGRAM_LINKS.most
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "too_often")
