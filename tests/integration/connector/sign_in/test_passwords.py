"""A new password, chosen by whoever knows the old one or reads the user's mail."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import Engine, func, select, update

from services.connector.accounts.credentials import hash_secret
from services.connector.sign_in.password_service import MAX_RESETS, RESET_LIFETIME, ask_reset
from shared.database import Sessions
from shared.tables import PasswordReset, User
from tests.integration.connector.conftest import PASSWORD, SignedIn
from tests.integration.connector.second_factors.conftest import set_up_app
from tests.statements import sent_statements

API = "/api/v1"
NEW = "vier Lampen im Keller"


async def _sign_in(client: httpx2.AsyncClient, who: SignedIn, password: str) -> int:
    body = {"email": who.user.email, "password": password}
    return (await client.post(f"{API}/sessions", json=body)).status_code


async def _link(sessions: Sessions, who: SignedIn, *, expires_at: datetime | None = None) -> str:
    """The token of a link that was sent."""
    async with sessions.begin() as session:
        session.add(
            PasswordReset(
                account_id=who.account.id,
                user_id=who.user.id,
                token_hash=hash_secret("the-token-of-the-link"),
                expires_at=expires_at or datetime.now(UTC) + RESET_LIFETIME,
            )
        )
    return "the-token-of-the-link"


async def test_a_new_password_ends_the_other_sessions(signed_in: SignedIn, nobody, new_client):
    assert await _sign_in(nobody, signed_in, PASSWORD) == 201

    changed = await signed_in.client.put(f"{API}/me/password", json={"current": PASSWORD, "new": NEW})

    assert changed.status_code == 204, changed.text
    assert (await nobody.get(f"{API}/me")).status_code == 401
    assert (await signed_in.client.get(f"{API}/me")).status_code == 200
    assert await _sign_in(new_client(), signed_in, PASSWORD) == 401
    assert await _sign_in(new_client(), signed_in, NEW) == 201


async def test_a_new_password_needs_the_old_one_and_keeps_the_policy(signed_in: SignedIn):
    wrong = await signed_in.client.put(f"{API}/me/password", json={"current": "not the password", "new": NEW})
    leaked = await signed_in.client.put(
        f"{API}/me/password", json={"current": PASSWORD, "new": "password1234"}
    )
    short = await signed_in.client.put(f"{API}/me/password", json={"new": "k7#qP2v!xW9"})

    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (leaked.status_code, leaked.json()["code"]) == (422, "password_leaked")
    assert (short.json()["code"], short.json()["limit"]) == ("password_too_short", 12)


async def test_a_link_sets_a_password_once_and_ends_all_sessions(
    signed_in: SignedIn, nobody, new_client, sessions: Sessions
):
    await set_up_app(signed_in)
    token = await _link(sessions, signed_in)

    refused = await nobody.post(f"{API}/password-resets/use", json={"token": token, "new": "password1234"})
    used = await nobody.post(f"{API}/password-resets/use", json={"token": token, "new": NEW})
    again = await nobody.post(f"{API}/password-resets/use", json={"token": token, "new": NEW})

    # A refused password leaves the link as it was.
    assert refused.json()["code"] == "password_leaked"
    assert used.status_code == 204, used.text
    assert again.json()["code"] == "reset_expired"
    assert (await signed_in.client.get(f"{API}/me")).status_code == 401
    assert await _sign_in(new_client(), signed_in, PASSWORD) == 401
    # The second factor stays: whoever reads the mail is not in yet.
    assert await _sign_in(new_client(), signed_in, NEW) == 202


@pytest.mark.parametrize("why", ["too old", "never given", "the user is disabled"])
async def test_a_link_that_is_none_sets_nothing(signed_in: SignedIn, nobody, sessions: Sessions, why: str):
    ended = datetime.now(UTC) if why == "too old" else None
    token = await _link(sessions, signed_in, expires_at=ended)
    if why == "the user is disabled":
        async with sessions.begin() as session:
            await session.execute(update(User).values(disabled_at=datetime.now(UTC)))
    body = {"token": "guessed" if why == "never given" else token, "new": NEW}

    answer = await nobody.post(f"{API}/password-resets/use", json=body)

    assert (answer.status_code, answer.json()["code"]) == (409, "reset_expired")


async def test_nobody_learns_whether_an_address_exists(signed_in: SignedIn, nobody, sessions: Sessions):
    answers, statements = [], []
    for email in (signed_in.user.email, "nobody@seller.example"):
        async with sent_statements(Engine) as ran:
            answers.append(await nobody.post(f"{API}/password-resets", json={"email": email}))
        statements.append(list(ran))

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert statements[0] == statements[1]
    async with sessions.begin() as session:
        rows = (await session.scalars(select(PasswordReset))).all()
    # No token before the mail is sent: there is none that could leak.
    assert [(row.user_id, row.token_hash) for row in rows] == [(signed_in.user.id, None)]


async def test_a_mailbox_is_not_filled(signed_in: SignedIn, new_client, sessions: Sessions):
    for number in range(MAX_RESETS + 2):
        client = new_client(address=f"203.0.113.{number}")
        answer = await client.post(f"{API}/password-resets", json={"email": signed_in.user.email})
        assert answer.status_code == 202

    async def waiting() -> int | None:
        async with sessions.begin() as session:
            return await session.scalar(select(func.count()).select_from(PasswordReset))

    assert await waiting() == MAX_RESETS
    later = datetime.now(UTC) + RESET_LIFETIME + timedelta(seconds=1)
    await ask_reset(sessions, signed_in.user.email, client_address="192.0.2.1", now=later)
    assert await waiting() == MAX_RESETS + 1


async def test_a_network_asks_only_so_often(new_client):
    client = new_client(address="203.0.113.9")

    answers = [
        await client.post(f"{API}/password-resets", json={"email": f"user{n}@seller.example"})
        for n in range(21)
    ]

    assert [answer.status_code for answer in answers] == [202] * 20 + [429]
