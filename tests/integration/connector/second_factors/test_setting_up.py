"""Second factors are set up, shown and taken away; who has to have one may do nothing else before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from services.connector.second_factors.service import MAX_PASSKEYS
from shared.database import Sessions
from shared.tables import AuditEntry, RecoveryCode, SignInChallenge, User
from tests.authenticators import Authenticator
from tests.factories import make_account, make_integration
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.second_factors.conftest import (
    API,
    add_passkey,
    authenticated_long_ago,
    demand,
    set_up_app,
)


async def test_an_app_counts_when_it_has_shown_a_code(signed_in: SignedIn, sessions: Sessions):
    begun = (await signed_in.client.post(f"{API}/me/authenticator")).json()
    before = (await signed_in.client.get(f"{API}/me/second-factor")).json()
    wrong = await signed_in.client.put(f"{API}/me/authenticator", json={"code": "000000"})

    assert begun["picture"].startswith("<svg")
    assert begun["key"] in begun["uri"]
    assert before["authenticator_since"] is None
    assert wrong.json()["code"] == "code_refused"

    app, codes = await set_up_app(signed_in)

    after = (await signed_in.client.get(f"{API}/me/second-factor")).json()
    assert after["authenticator_since"] is not None
    assert after["recovery_codes_left"] == len(set(codes)) == 10
    async with sessions.begin() as session:
        user = await session.get_one(User, signed_in.user.id)
        hashes = (await session.scalars(select(RecoveryCode.code_hash))).all()
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert user.totp_secret is not None
    assert app.secret not in user.totp_secret.ciphertext
    assert not any(code.encode() in stored for code in codes for stored in hashes)
    assert actions == ["authenticator_set_up"]


async def test_a_key_that_was_left_alone_counts_no_more(signed_in: SignedIn, sessions: Sessions):
    await signed_in.client.post(f"{API}/me/authenticator")
    async with sessions.begin() as session:
        await session.execute(
            update(SignInChallenge).values(expires_at=datetime.now(UTC) - timedelta(minutes=1))
        )

    answer = await signed_in.client.put(f"{API}/me/authenticator", json={"code": "123456"})

    assert (answer.status_code, answer.json()["code"]) == (409, "set_up_expired")


async def test_a_passkey_is_added_named_and_removed(signed_in: SignedIn, device: Authenticator):
    made = await add_passkey(signed_in, device)
    again = await add_passkey(signed_in, device)
    passkey_id = made.json()["passkey"]["id"]
    renamed = await signed_in.client.patch(f"{API}/me/passkeys/{passkey_id}", json={"name": "Neues Telefon"})
    listed = (await signed_in.client.get(f"{API}/me/second-factor")).json()
    removed = await signed_in.client.delete(f"{API}/me/passkeys/{passkey_id}")
    left = (await signed_in.client.get(f"{API}/me/second-factor")).json()

    assert made.status_code == 201, made.text
    assert len(made.json()["recovery_codes"]) == 10
    assert again.json()["code"] == "passkey_taken"
    assert renamed.json()["name"] == "Neues Telefon"
    assert [each["name"] for each in listed["passkeys"]] == ["Neues Telefon"]
    assert removed.status_code == 204
    # Codes are of use only beside a second factor.
    assert (left["passkeys"], left["recovery_codes_left"]) == ([], 0)


async def test_an_answer_to_no_question_of_ours_is_refused(signed_in: SignedIn, device: Authenticator):
    options = (await signed_in.client.post(f"{API}/me/passkeys/options")).json()["options"]
    elsewhere = replace(device, origin="https://evil.example").create(options)
    foreign = replace(device, party="evil.example").create(options)
    other_question = device.create(options | {"challenge": "AAAA"})
    nonsense = [{}, {"id": "a", "rawId": "a", "type": "public-key", "response": {}}, {"rawId": 7}]

    for credential in (elsewhere, foreign, other_question, *nonsense):
        body = {"name": "Telefon", "credential": credential}
        answer = await signed_in.client.post(f"{API}/me/passkeys", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "passkey_refused"), credential

    right = {"name": "Telefon", "credential": device.create(options)}
    assert (await signed_in.client.post(f"{API}/me/passkeys", json=right)).status_code == 201
    once = await signed_in.client.post(f"{API}/me/passkeys", json=right)
    assert once.json()["code"] == "set_up_expired"


async def test_nobody_sees_or_changes_anothers_passkey(
    signed_in: SignedIn, sign_in_as, device: Authenticator
):
    passkey_id = (await add_passkey(signed_in, device)).json()["passkey"]["id"]
    colleague = await sign_in_as()

    renamed = await colleague.client.patch(f"{API}/me/passkeys/{passkey_id}", json={"name": "Meiner"})
    removed = await colleague.client.delete(f"{API}/me/passkeys/{passkey_id}")
    shown = (await colleague.client.get(f"{API}/me/second-factor")).json()

    assert (renamed.status_code, removed.status_code) == (404, 404)
    assert shown["passkeys"] == []


async def test_somebody_has_so_many_passkeys_at_most(signed_in: SignedIn, device: Authenticator):
    for _ in range(MAX_PASSKEYS):
        assert (await add_passkey(signed_in, Authenticator(device.origin))).status_code == 201

    answer = await signed_in.client.post(f"{API}/me/passkeys/options")

    assert answer.json()["code"] == "too_many_passkeys"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/me/authenticator", None),
        ("PUT", "/me/authenticator", {"code": "123456"}),
        ("DELETE", "/me/authenticator", None),
        ("POST", "/me/passkeys/options", None),
        ("POST", "/me/passkeys", {"name": "Telefon", "credential": {}}),
        ("DELETE", "/me/passkeys/00000000-0000-7000-8000-000000000000", None),
        ("POST", "/me/recovery-codes", None),
        ("PATCH", "/account/security", {"second_factor": "optional"}),
        ("DELETE", "/users/00000000-0000-7000-8000-000000000000/second-factor", None),
        ("PUT", "/me/password", {"new": "vier Lampen im Keller"}),
    ],
)  # fmt: skip
async def test_what_decides_how_people_sign_in_needs_fresh_proof(
    signed_in: SignedIn, sessions: Sessions, method: str, path: str, body: dict[str, object] | None
):
    await authenticated_long_ago(sessions, signed_in)

    answer = await signed_in.client.request(method, API + path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_needed")


async def test_who_has_to_have_one_may_do_nothing_but_set_it_up(signed_in: SignedIn, sessions: Sessions):
    await demand(sessions, signed_in.account)

    refused = [
        await signed_in.client.get(f"{API}{path}")
        for path in ("/integrations", "/events", "/users", "/sessions", "/conversations")
    ]
    changed = await signed_in.client.patch(f"{API}/me", json={"language": "de"})
    me = (await signed_in.client.get(f"{API}/me")).json()
    overview = (await signed_in.client.get(f"{API}/me/second-factor")).json()
    await set_up_app(signed_in)
    let_in = await signed_in.client.get(f"{API}/integrations")

    assert {answer.json()["code"] for answer in (*refused, changed)} == {"second_factor_needed"}
    assert me["needs_second_factor"] is overview["is_required"] is True
    assert let_in.status_code == 200
    assert (await signed_in.client.get(f"{API}/me")).json()["needs_second_factor"] is False


@pytest.mark.parametrize(
    ("demanded", "level", "is_needed"),
    [
        ("admins", "edit", True),
        ("admins", "view", False),
        ("everybody", "none", True),
        ("optional", "edit", False),
    ],
)
async def test_an_account_says_who_has_to_have_one(
    sign_in_as, account, sessions: Sessions, *, demanded: str, level: str, is_needed: bool
):
    who = await sign_in_as(general_admin=level)
    await demand(sessions, account, demanded)

    assert (await who.client.get(f"{API}/me")).json()["needs_second_factor"] is is_needed
    assert (await who.client.get(f"{API}/me/second-factor")).json()["is_required"] is is_needed


async def test_the_only_one_stays_where_it_is_demanded(
    signed_in: SignedIn, sessions: Sessions, device: Authenticator
):
    await set_up_app(signed_in)
    await demand(sessions, signed_in.account)

    refused = await signed_in.client.delete(f"{API}/me/authenticator")
    await add_passkey(signed_in, device)
    removed = await signed_in.client.delete(f"{API}/me/authenticator")

    assert (refused.status_code, refused.json()["code"]) == (409, "last_second_factor")
    assert removed.status_code == 204


async def test_new_recovery_codes_end_the_ones_before(signed_in: SignedIn):
    without = await signed_in.client.post(f"{API}/me/recovery-codes")
    _, before = await set_up_app(signed_in)
    after = (await signed_in.client.post(f"{API}/me/recovery-codes")).json()["recovery_codes"]

    used = await signed_in.client.post(f"{API}/sessions/current/confirm", json={"code": before[0]})
    good = await signed_in.client.post(f"{API}/sessions/current/confirm", json={"code": after[0]})

    assert without.status_code == 404
    assert (used.json()["code"], good.status_code) == ("code_refused", 204)


async def test_an_admin_helps_a_colleague_who_has_lost_theirs(
    signed_in: SignedIn, sign_in_as, sessions: Sessions, device: Authenticator
):
    colleague = await sign_in_as(general_admin="none")
    await set_up_app(colleague)
    await add_passkey(colleague, device)

    own = await signed_in.client.delete(f"{API}/users/{signed_in.user.id}/second-factor")
    reset = await signed_in.client.delete(f"{API}/users/{colleague.user.id}/second-factor")

    assert own.json()["code"] == "own_second_factor"
    assert reset.status_code == 204
    assert (await colleague.client.get(f"{API}/me")).status_code == 401
    async with sessions.begin() as session:
        user = await session.get_one(User, colleague.user.id)
        entry = (
            await session.scalars(select(AuditEntry).where(AuditEntry.action == "second_factor_reset"))
        ).one()
    assert user.totp_secret is None
    assert (entry.actor_id, entry.subject_id) == (signed_in.user.id, colleague.user.id)


async def test_an_admin_resets_nobody_of_another_account(signed_in: SignedIn, sign_in_as, sessions, keyring):
    async with sessions.begin() as session:
        elsewhere = await make_account(session, keyring)
    stranger = await sign_in_as(of=elsewhere)

    answer = await signed_in.client.delete(f"{API}/users/{stranger.user.id}/second-factor")

    assert answer.status_code == 404


async def test_the_rules_of_an_account_are_changed_within_bounds(signed_in: SignedIn):
    path = f"{API}/account/security"

    changed = await signed_in.client.patch(path, json={"admin_session_hours": 8, "admin_idle_minutes": 15})
    wrong = [
        await signed_in.client.patch(path, json=body)
        for body in ({"admin_session_hours": 169}, {"admin_idle_minutes": 4}, {"second_factor": "nobody"})
    ]

    assert changed.json() == {
        "second_factor": "optional",
        "admin_session_hours": 8,
        "admin_idle_minutes": 15,
    }
    assert (await signed_in.client.get(path)).json() == changed.json()
    assert {answer.status_code for answer in wrong} == {422}


async def test_an_app_that_is_replaced_goes_on_until_the_new_one_is_confirmed(signed_in: SignedIn):
    app, _ = await set_up_app(signed_in)
    await signed_in.client.post(f"{API}/me/authenticator")

    answer = await signed_in.client.post(f"{API}/sessions/current/confirm", json={"code": app.code()})

    assert answer.status_code == 204


async def test_raw_mail_and_disconnecting_need_fresh_proof(signed_in: SignedIn, sessions: Sessions):
    await authenticated_long_ago(sessions, signed_in)
    async with sessions.begin() as session:
        store = await make_integration(session, signed_in.account.id)

    raw = await signed_in.client.get(f"{API}/messages/{store.id}/raw")
    disconnected = await signed_in.client.delete(f"{API}/integrations/{store.id}")

    assert {raw.json()["code"], disconnected.json()["code"]} == {"reauthentication_needed"}
