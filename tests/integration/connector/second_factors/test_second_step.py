"""Signing in in two steps, or with a passkey alone, and every way in which that fails."""

import asyncio
from base64 import b32decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import func, select, update

from services.connector.dependencies import SESSION_COOKIE
from services.connector.second_factors.limits import MAX_OF_STRANGERS, MAX_PER_NETWORK
from services.connector.sign_in.api import CHALLENGE_COOKIE
from shared.crypto.totp import code_at
from shared.database import Sessions
from shared.tables import AuditEntry, Passkey, SignInChallenge, User, UserSession
from tests.authenticators import Authenticator
from tests.integration.connector.conftest import PASSWORD, SignedIn
from tests.integration.connector.second_factors.conftest import (
    API,
    add_passkey,
    send_password,
    set_up_app,
)

STEP = f"{API}/sessions/second-step"


async def _code(client: httpx2.AsyncClient, code: str) -> httpx2.Response:
    return await client.post(STEP, json={"code": code})


async def test_a_right_password_alone_is_no_session(signed_in: SignedIn, nobody, sessions: Sessions):
    app, _ = await set_up_app(signed_in)

    step = await send_password(nobody, signed_in)
    cookie = nobody.cookies[CHALLENGE_COOKIE]
    not_yet = await nobody.get(f"{API}/me")
    done = await _code(nobody, app.code())

    assert (step["takes_codes"], step["passkey_options"]) == (True, None)
    assert not_yet.status_code == 401
    assert done.status_code == 201, done.text
    assert (await nobody.get(f"{API}/me")).json() == done.json()
    async with sessions.begin() as session:
        left = await session.scalar(select(func.count()).select_from(SignInChallenge))
        hashes = (await session.scalars(select(UserSession.token_hash))).all()
    assert left == 0
    assert cookie.encode() not in b"".join(hashes)


async def test_a_code_is_good_once(signed_in: SignedIn, new_client):
    app, _ = await set_up_app(signed_in)
    code = app.code()
    first, second = new_client(), new_client()
    await send_password(first, signed_in)
    await send_password(second, signed_in)

    done, replayed = await _code(first, code), await _code(second, code)

    assert (done.status_code, replayed.status_code) == (201, 401)
    assert replayed.json()["code"] == "code_refused"
    assert SESSION_COOKIE not in second.cookies


async def test_a_code_that_set_up_the_app_is_used(signed_in: SignedIn, nobody):
    begun = (await signed_in.client.post(f"{API}/me/authenticator")).json()
    code = code_at(b32decode(begun["key"]), datetime.now(UTC))
    await signed_in.client.put(f"{API}/me/authenticator", json={"code": code})
    await send_password(nobody, signed_in)

    assert (await _code(nobody, code)).json()["code"] == "code_refused"


async def test_the_second_step_needs_the_browser_of_the_first(signed_in: SignedIn, nobody, new_client):
    app, codes = await set_up_app(signed_in)
    await send_password(nobody, signed_in)
    elsewhere, forged = new_client(), new_client()
    forged.cookies.set(CHALLENGE_COOKIE, "guessed")

    for client in (elsewhere, forged):
        assert (await _code(client, "123456")).json()["code"] == "sign_in_expired"
    assert (await _code(nobody, app.code())).status_code == 201
    # Its answer was given: it is over.
    assert (await _code(nobody, codes[0])).json()["code"] == "sign_in_expired"


async def test_after_five_minutes_it_is_too_late(signed_in: SignedIn, nobody, sessions: Sessions):
    app, _ = await set_up_app(signed_in)
    await send_password(nobody, signed_in)
    async with sessions.begin() as session:
        challenge = (await session.scalars(select(SignInChallenge))).one()
        in_time = challenge.expires_at - datetime.now(UTC)
        challenge.expires_at = datetime.now(UTC) - timedelta(minutes=1)

    assert timedelta(minutes=4) < in_time <= timedelta(minutes=5)
    assert (await _code(nobody, app.code())).json()["code"] == "sign_in_expired"


@pytest.mark.parametrize("what", ["disabled_at", "password"])
async def test_what_ends_the_user_ends_the_second_step(
    signed_in: SignedIn, nobody, sessions: Sessions, what: str
):
    app, _ = await set_up_app(signed_in)
    await send_password(nobody, signed_in)
    if what == "password":
        body = {"current": PASSWORD, "new": "vier Lampen im Keller"}
        assert (await signed_in.client.put(f"{API}/me/password", json=body)).status_code == 204
    else:
        async with sessions.begin() as session:
            await session.execute(update(User).values(disabled_at=datetime.now(UTC)))

    assert (await _code(nobody, app.code())).json()["code"] == "sign_in_expired"


async def test_a_recovery_code_lets_in_once_even_if_two_send_it_at_once(
    signed_in: SignedIn, new_client, sessions: Sessions
):
    _, codes = await set_up_app(signed_in)
    clients = [new_client() for _ in range(3)]
    for client in clients:
        await send_password(client, signed_in)

    answers = await asyncio.gather(*(_code(client, codes[0].lower()) for client in clients))

    assert sorted(answer.status_code for answer in answers) == [201, 401, 401]
    left = (await signed_in.client.get(f"{API}/me/second-factor")).json()["recovery_codes_left"]
    assert left == 9
    async with sessions.begin() as session:
        actions = (await session.scalars(select(AuditEntry.action))).all()
    assert actions.count("recovery_code_used") == 1
    assert actions.count("second_step_failed") == 2


async def test_nobody_uses_anothers_codes(signed_in: SignedIn, sign_in_as, nobody):
    app, codes = await set_up_app(signed_in)
    other = await sign_in_as()
    await set_up_app(other)
    await send_password(nobody, other)

    for code in (app.code(), codes[0]):
        assert (await _code(nobody, code)).json()["code"] == "code_refused"


async def test_codes_cannot_be_found_by_trying(signed_in: SignedIn, nobody, new_client):
    app, codes = await set_up_app(signed_in)
    thief = new_client(address="203.0.113.7")
    await send_password(thief, signed_in)

    refused = [await _code(thief, "000000") for _ in range(MAX_PER_NETWORK)]
    too_often = await _code(thief, codes[0])
    await send_password(nobody, signed_in)
    true_user = await _code(nobody, app.code())

    assert {answer.json()["code"] for answer in refused} == {"code_refused"}
    assert too_often.json()["code"] == "too_many_sign_ins"
    assert int(too_often.headers["Retry-After"]) > 0
    assert true_user.status_code == 201


async def test_a_guesser_with_many_networks_gets_no_further_and_keeps_nobody_out(
    signed_in: SignedIn, new_client
):
    app, codes = await set_up_app(signed_in)
    usual = new_client(address="198.51.100.1")
    await send_password(usual, signed_in)
    assert (await _code(usual, codes[1])).status_code == 201
    networks = MAX_OF_STRANGERS // MAX_PER_NETWORK
    for number in range(networks):
        thief = new_client(address=f"203.0.113.{number}")
        await send_password(thief, signed_in)
        for _ in range(MAX_PER_NETWORK):
            assert (await _code(thief, "000000")).json()["code"] == "code_refused"

    stranger, lost = new_client(address="192.0.2.1"), new_client(address="192.0.2.2")
    for client in (stranger, lost, usual):
        await send_password(client, signed_in)
    right = app.code()
    guessed = await _code(stranger, right)
    with_recovery_code = await _code(lost, codes[0])
    with_usual_browser = await _code(usual, right)

    assert guessed.json()["code"] == "code_refused"
    assert with_recovery_code.status_code == 201
    assert with_usual_browser.status_code == 201


async def test_a_right_password_makes_no_room_for_more_guesses(signed_in: SignedIn, new_client):
    await set_up_app(signed_in)
    thief = new_client(address="203.0.113.7")

    answers = [
        await thief.post(f"{API}/sessions", json={"email": signed_in.user.email, "password": PASSWORD})
        for _ in range(11)
    ]

    assert [answer.status_code for answer in answers] == [202] * 10 + [429]


async def test_a_passkey_is_a_second_factor(signed_in: SignedIn, nobody, device: Authenticator):
    # A plain security key knows nobody: it is one factor of two.
    device.verifies = False
    await add_passkey(signed_in, device)

    step = await send_password(nobody, signed_in)
    answer = await nobody.post(STEP, json={"passkey": device.get(step["passkey_options"])})

    assert answer.status_code == 201, answer.text
    assert [each["type"] for each in step["passkey_options"]["allowCredentials"]] == ["public-key"]


async def test_a_passkey_alone_is_a_whole_sign_in(signed_in: SignedIn, nobody, device: Authenticator):
    await add_passkey(signed_in, device)

    step = (await nobody.post(f"{API}/sessions/passkey/options")).json()
    answer = await nobody.post(
        f"{API}/sessions/passkey", json={"passkey": device.get(step["passkey_options"])}
    )

    assert answer.status_code == 201, answer.text
    assert answer.json()["user"]["id"] == str(signed_in.user.id)
    assert step["passkey_options"]["userVerification"] == "required"
    assert not step["passkey_options"].get("allowCredentials")


async def test_a_passkey_whose_device_knows_nobody_is_no_whole_sign_in(
    signed_in: SignedIn, nobody, device: Authenticator
):
    device.verifies = False
    await add_passkey(signed_in, device)

    step = (await nobody.post(f"{API}/sessions/passkey/options")).json()
    answer = await nobody.post(
        f"{API}/sessions/passkey", json={"passkey": device.get(step["passkey_options"])}
    )

    assert answer.json()["code"] == "passkey_refused"


async def test_an_answer_is_good_once_for_its_question_from_our_pages_by_its_owner(
    signed_in: SignedIn, sign_in_as, new_client, device: Authenticator
):
    await add_passkey(signed_in, device)
    other, theirs = await sign_in_as(), Authenticator(device.origin)
    await add_passkey(other, theirs)

    async def ask() -> tuple[httpx2.AsyncClient, dict[str, object]]:
        client = new_client()
        return client, (await client.post(f"{API}/sessions/passkey/options")).json()["passkey_options"]

    async def send(client: httpx2.AsyncClient, credential: dict[str, object]) -> str:
        answer = await client.post(f"{API}/sessions/passkey", json={"passkey": credential})
        return str(answer.json().get("code", answer.status_code))

    client, options = await ask()
    elsewhere, of_elsewhere = await ask()
    good = device.get(options)
    assert await send(elsewhere, good) == "passkey_refused"  # another browser's question
    # Whatever came of it, a question is answered once.
    assert await send(elsewhere, device.get(of_elsewhere)) == "sign_in_expired"
    assert await send(new_client(), good) == "sign_in_expired"
    assert await send(client, device.get(options)) == "201"
    assert await send(client, device.get(options)) == "sign_in_expired"

    for fault in (
        {"origin": "https://evil.example"},
        {"origin": f"{device.origin}:1"},
        {"party": "evil.example"},
        {"user_handle": other.user.id.bytes},
        {"credential_id": theirs.credential_id},
        {"credential_id": b"unknown"},
    ):
        client, options = await ask()
        forged = replace(device, count=device.count + 10, **fault)
        assert await send(client, forged.get(options)) == "passkey_refused", fault


async def test_a_passkey_of_another_user_is_no_second_factor(
    signed_in: SignedIn, sign_in_as, nobody, device: Authenticator
):
    await add_passkey(signed_in, device)
    thief, theirs = await sign_in_as(), Authenticator(device.origin)
    await add_passkey(thief, theirs)

    step = await send_password(nobody, signed_in)
    answer = await nobody.post(STEP, json={"passkey": theirs.get(step["passkey_options"])})

    assert answer.json()["code"] == "passkey_refused"
    assert SESSION_COOKIE not in nobody.cookies


async def test_a_copy_of_a_passkey_is_noticed(
    signed_in: SignedIn, new_client, device: Authenticator, sessions: Sessions
):
    await add_passkey(signed_in, device)
    copy = replace(device)

    async def sign_in(with_device: Authenticator) -> int:
        client = new_client()
        step = (await client.post(f"{API}/sessions/passkey/options")).json()
        body = {"passkey": with_device.get(step["passkey_options"])}
        return int((await client.post(f"{API}/sessions/passkey", json=body)).status_code)

    assert [await sign_in(device), await sign_in(device), await sign_in(copy)] == [201, 201, 401]
    async with sessions.begin() as session:
        noticed = (
            await session.scalars(select(AuditEntry).where(AuditEntry.action == "passkey_count_fell"))
        ).one()
        passkey = (await session.scalars(select(Passkey))).one()
    assert (noticed.subject_id, passkey.sign_count) == (passkey.id, 2)


async def test_a_device_that_does_not_count_is_no_copy(
    signed_in: SignedIn, new_client, device: Authenticator
):
    await add_passkey(signed_in, device)

    for _ in range(2):
        client = new_client()
        step = (await client.post(f"{API}/sessions/passkey/options")).json()
        device.count = -1
        body = {"passkey": device.get(step["passkey_options"])}
        assert (await client.post(f"{API}/sessions/passkey", json=body)).status_code == 201


async def test_a_disabled_user_has_no_use_of_a_passkey(
    signed_in: SignedIn, nobody, device: Authenticator, sessions: Sessions
):
    await add_passkey(signed_in, device)
    async with sessions.begin() as session:
        await session.execute(update(User).values(disabled_at=datetime.now(UTC)))

    step = (await nobody.post(f"{API}/sessions/passkey/options")).json()
    answer = await nobody.post(
        f"{API}/sessions/passkey", json={"passkey": device.get(step["passkey_options"])}
    )

    assert answer.json()["code"] == "passkey_refused"


async def test_a_passkey_proves_who_is_there(signed_in: SignedIn, sign_in_as, device: Authenticator):
    await add_passkey(signed_in, device)
    confirm = f"{API}/sessions/current/confirm"
    colleague = await sign_in_as()

    options = (await signed_in.client.post(f"{confirm}/passkey-options")).json()["options"]
    of_colleague = (await colleague.client.post(f"{confirm}/passkey-options")).json()["options"]
    foreign = await colleague.client.post(confirm, json={"passkey": device.get(of_colleague)})
    proven = await signed_in.client.post(confirm, json={"passkey": device.get(options)})
    again = await signed_in.client.post(confirm, json={"passkey": device.get(options)})
    both = await signed_in.client.post(confirm, json={"code": "123456", "password": PASSWORD})

    assert (proven.status_code, foreign.status_code, again.status_code) == (204, 401, 401)
    assert both.json()["errors"][0]["code"] == "one_way"


async def test_anybody_may_ask_for_a_passkey_only_so_often(new_client):
    client = new_client(address="203.0.113.9")

    answers = [await client.post(f"{API}/sessions/passkey/options") for _ in range(31)]

    assert [answer.status_code for answer in answers].count(200) == 30
    assert answers[-1].json()["code"] == "too_often"
