"""Proving again who one is, before something that a stranger at an unlocked screen must not do."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from services.connector.accounts.sign_in_limits import MAX_PER_EMAIL_AND_NETWORK
from shared.database import Sessions
from shared.tables import AuditEntry, UserSession
from tests.integration.connector.conftest import PASSWORD, SignedIn

_KEY = {"name": "Helpdesk", "permissions": {}}


async def _authenticated_long_ago(sessions: Sessions, who: SignedIn) -> None:
    async with sessions.begin() as session:
        await session.execute(
            update(UserSession)
            .where(UserSession.id == who.session_id)
            .values(authenticated_at=datetime.now(UTC) - timedelta(minutes=10, seconds=1))
        )


async def test_what_needs_proof_is_refused_until_it_is_given(signed_in: SignedIn, sessions: Sessions):
    await _authenticated_long_ago(sessions, signed_in)

    refused = await signed_in.client.post("/api/v1/api-keys", json=_KEY)
    confirmed = await signed_in.client.post("/api/v1/sessions/current/confirm", json={"password": PASSWORD})
    made = await signed_in.client.post("/api/v1/api-keys", json=_KEY)

    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_needed")
    assert (confirmed.status_code, made.status_code) == (204, 201)
    async with sessions.begin() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions == ["session_confirmed", "api_key_created"]


async def test_a_wrong_password_proves_nothing_and_cannot_be_guessed(signed_in: SignedIn, sessions: Sessions):
    await _authenticated_long_ago(sessions, signed_in)
    confirm = "/api/v1/sessions/current/confirm"

    wrong = [
        await signed_in.client.post(confirm, json={"password": "not the password"})
        for _ in range(MAX_PER_EMAIL_AND_NETWORK)
    ]
    too_often = await signed_in.client.post(confirm, json={"password": PASSWORD})
    still = await signed_in.client.post("/api/v1/api-keys", json=_KEY)

    assert {answer.json()["code"] for answer in wrong} == {"invalid_credentials"}
    assert too_often.json()["code"] == "too_many_sign_ins"
    assert still.json()["code"] == "reauthentication_needed"
    # Whoever was wrong is still signed in.
    assert (await signed_in.client.get("/api/v1/me")).status_code == 200


async def test_nobody_proves_who_they_are_with_anothers_password(
    signed_in: SignedIn, sign_in_as, sessions: Sessions
):
    other = await sign_in_as()
    await _authenticated_long_ago(sessions, signed_in)
    body = {"email": other.user.email, "password": PASSWORD}

    answer = await signed_in.client.post("/api/v1/sessions/current/confirm", json=body)

    assert answer.json()["code"] == "invalid_request"


async def test_a_program_has_nothing_to_prove(api_key_client):
    program = await api_key_client()

    answer = await program.post("/api/v1/sessions/current/confirm", json={"password": PASSWORD})

    assert answer.json()["code"] == "browser_required"
