"""Sign-ins that fail count against whoever makes them, and keep nobody else out."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import argon2
import httpx2
import pytest
from sqlalchemy import Engine, event, select, text, update
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.engine.interfaces import CacheStats
from typing_extensions import override

from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.passwords import PasswordCheck, Passwords
from services.connector.accounts.sign_in_limits import (
    COUNTED_AT_ONCE,
    MAX_PER_NETWORK,
    MAX_PER_WIDE_NETWORK,
    UNDER_ATTACK,
    SignInOrigin,
)
from services.connector.app import create_app
from services.connector.dependencies import KNOWN_BROWSER_COOKIE
from services.connector.sign_in.beginning import MAX_BROWSERS
from shared.database import Sessions
from shared.tables import AuditEntry, KnownBrowser, SignInFailures
from tests.factories import make_user
from tests.integration.connector.conftest import PASSWORD, SignedIn, open_client

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)

NewClient = Callable[..., httpx2.AsyncClient]


async def _sign_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> int:
    """The status; a browser that forgets its session and is known all the same."""
    answer = await client.post("/api/v1/sessions", json={"email": email, "password": password})
    if answer.status_code == 429:
        assert answer.json()["code"] == "too_many_sign_ins"
        assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
    return answer.status_code


async def _failed_before(
    sessions: Sessions, failures: int, keys: Iterable[bytes], *, over: bool = False
) -> None:
    window_ends_at = datetime.now(UTC) + timedelta(minutes=-1 if over else 1)
    async with sessions.begin() as session:
        session.add_all(
            SignInFailures(key=key, failures=failures, window_ends_at=window_ends_at) for key in keys
        )


async def test_a_stranger_locks_their_own_network_out_of_an_address_and_nobody_else(
    signed_in: SignedIn, new_client: NewClient
):
    email, stranger = signed_in.user.email, new_client(address="192.0.2.66")

    tries = [await _sign_in(stranger, email, "wrong password") for _ in range(10)]
    eleventh = await _sign_in(stranger, email)

    assert (tries, eleventh) == ([401] * 10, 429)
    assert await _sign_in(stranger, "colleague@seller.example", "wrong password") == 401
    assert await _sign_in(new_client(address="192.0.2.7"), email) == 201


async def test_many_strangers_lock_nobody_out_either(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    """# S: distributed guessing narrows what each network may try, for an address that is attacked"""
    email = signed_in.user.email
    await _failed_before(sessions, UNDER_ATTACK, [SignInOrigin(email, "", None).email_key])
    stranger, owner = new_client(address="192.0.2.66"), new_client(address="192.0.2.7")

    tries = [await _sign_in(stranger, email, "wrong password") for _ in range(3)]

    assert tries == [401, 401, 429]
    assert await _sign_in(owner, email, "mistyped") == 401
    assert await _sign_in(owner, email) == 201


async def test_a_browser_that_has_signed_in_before_has_its_own_count(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    email, address = signed_in.user.email, "2001:db8::1"
    browser = new_client(address=address)
    assert await _sign_in(browser, email) == 201
    origin = SignInOrigin(email, address, None)
    keys = (origin.pair_key, origin.network_key, origin.wide_network_key, origin.email_key)
    async with sessions.begin() as session:
        await session.execute(
            update(SignInFailures).where(SignInFailures.key.in_(keys)).values(failures=100_000)
        )

    assert await _sign_in(new_client(address=address), email) == 429
    assert await _sign_in(browser, email) == 201
    tries = [await _sign_in(browser, email, "wrong password") for _ in range(10)]
    eleventh = await _sign_in(browser, email)
    assert (tries, eleventh) == ([401] * 10, 429)
    # Nor does the browser use up the count of those around it.
    async with sessions.begin() as session:
        counted = await session.scalars(select(SignInFailures.failures).where(SignInFailures.key.in_(keys)))
        assert set(counted) <= {100_000, 100_001}


async def test_a_browser_is_known_for_the_users_who_have_signed_in_with_it_and_for_no_other(
    signed_in: SignedIn, sign_in_as, new_client: NewClient
):
    colleague = await sign_in_as()
    browser, stranger = new_client(address="192.0.2.7"), new_client(address="192.0.2.7")
    await _sign_in(browser, signed_in.user.email)
    for user in (signed_in.user, colleague.user):
        while await _sign_in(stranger, user.email, "wrong password") != 429:
            pass

    assert await _sign_in(browser, colleague.user.email) == 429
    assert await _sign_in(browser, signed_in.user.email) == 201


async def test_two_who_share_a_browser_are_both_remembered(
    signed_in: SignedIn, sign_in_as, new_client: NewClient
):
    colleague = await sign_in_as()
    browser, stranger = new_client(), new_client()
    for user in (signed_in.user, colleague.user):
        assert await _sign_in(browser, user.email) == 201
    for user in (signed_in.user, colleague.user):
        while await _sign_in(stranger, user.email, "wrong password") != 429:
            pass

    assert [await _sign_in(browser, user.email) for user in (signed_in.user, colleague.user)] == [201, 201]


async def test_what_a_browser_is_known_by_is_hashed_changes_each_time_and_lets_nobody_in(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    email, browser, thief = signed_in.user.email, new_client(), new_client()
    await _sign_in(browser, email)
    first = browser.cookies[KNOWN_BROWSER_COOKIE]
    await _sign_in(browser, email)
    second = browser.cookies[KNOWN_BROWSER_COOKIE]

    async with sessions.begin() as session:
        stored = (await session.scalars(select(KnownBrowser.token_hash))).all()
    assert stored == [hash_secret(second)]
    assert first != second
    thief.cookies.set(KNOWN_BROWSER_COOKIE, second)
    assert (await thief.get("/api/v1/me")).status_code == 401
    assert (
        await browser.delete("/api/v1/sessions/current", headers={"X-CSRF-Token": "x"})
    ).status_code == 403


@pytest.mark.parametrize(
    "value", ["", "x", '"\\351"', "a" * 4000], ids=["empty", "short", "not ASCII", "long"]
)
async def test_a_cookie_that_was_made_up_is_none(signed_in: SignedIn, new_client: NewClient, value: str):
    stranger = new_client(cookie=f"{KNOWN_BROWSER_COOKIE}={value}")
    for _ in range(10):
        await _sign_in(stranger, signed_in.user.email, "wrong password")

    assert await _sign_in(stranger, signed_in.user.email) == 429


async def test_so_many_browsers_of_a_user_are_remembered(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    browsers = [new_client() for _ in range(MAX_BROWSERS + 1)]
    for browser in browsers:
        assert await _sign_in(browser, signed_in.user.email) == 201

    async with sessions.begin() as session:
        kept = set(await session.scalars(select(KnownBrowser.token_hash)))
    assert kept == {hash_secret(browser.cookies[KNOWN_BROWSER_COOKIE]) for browser in browsers[1:]}


@pytest.mark.parametrize(
    ("failures", "key", "neighbour"),
    [
        (MAX_PER_NETWORK, "network_key", "2001:db8:0:1::1"),
        (MAX_PER_WIDE_NETWORK, "wide_network_key", "2001:db8:1::1"),
    ],
    ids=["a /64", "a /48"],
)
async def test_a_network_is_refused_after_so_many_failures_whatever_the_address(
    sessions: Sessions, new_client: NewClient, failures: int, key: str, neighbour: str
):
    await _failed_before(sessions, failures, [getattr(SignInOrigin("", "2001:db8::1", None), key)])

    same = await _sign_in(new_client(address="2001:db8::ffff"), "a@seller.example", "wrong")
    other = await _sign_in(new_client(address=neighbour), "b@seller.example", "wrong")

    assert (same, other) == (429, 401)


async def test_what_is_refused_for_one_address_is_not_held_against_the_network(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    """A program with an old password in an office keeps none of its people out."""
    for _ in range(30):
        await _sign_in(new_client(), signed_in.user.email, "an old password")

    origin = SignInOrigin(signed_in.user.email, "127.0.0.1", None)
    async with sessions.begin() as session:
        counts = {row.key: row.failures for row in await session.scalars(select(SignInFailures))}
    assert (counts[origin.pair_key], counts[origin.network_key], counts[origin.email_key]) == (30, 10, 10)


async def test_a_window_that_is_over_counts_anew(sessions: Sessions, nobody: httpx2.AsyncClient):
    origin = SignInOrigin("a@seller.example", "127.0.0.1", None)
    await _failed_before(sessions, 1000, [origin.pair_key, origin.network_key], over=True)

    assert await _sign_in(nobody, "a@seller.example", "wrong") == 401


async def test_a_success_resets_the_count_of_the_address(signed_in: SignedIn, nobody: httpx2.AsyncClient):
    for _ in range(9):
        await _sign_in(nobody, signed_in.user.email, "wrong")
    assert await _sign_in(nobody, signed_in.user.email) == 201

    for _ in range(9):
        assert await _sign_in(nobody, signed_in.user.email, "wrong") == 401


async def test_parallel_attempts_do_not_slip_through_together(signed_in: SignedIn, new_client: NewClient):
    clients = [new_client(address="192.0.2.66") for _ in range(14)]

    statuses = await asyncio.gather(*(_sign_in(client, signed_in.user.email, "wrong") for client in clients))

    assert sorted(statuses) == [401] * 10 + [429] * 4


async def test_a_failed_sign_in_is_in_the_audit_log_with_where_it_came_from(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    for _ in range(14):
        await _sign_in(new_client(address="192.0.2.66"), signed_in.user.email, "canary-wrong")
    await _sign_in(new_client(address="2001:db8::1"), signed_in.user.email, "canary-wrong")
    await _sign_in(new_client(), "nobody@seller.example", "canary-wrong")

    async with sessions.begin() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    # Not those that were refused before the password was looked at.
    networks = ["192.0.2.66/32"] * 10 + ["2001:db8::/64"]
    assert [entry.fields for entry in entries] == [{"network": network} for network in networks]
    assert {(entry.account_id, entry.actor_id, entry.action) for entry in entries} == {
        (signed_in.account.id, signed_in.user.id, "sign_in_failed")
    }


async def test_sign_ins_that_wait_for_one_another_hold_up_nobody_else(
    signed_in: SignedIn, new_client: NewClient, sessions: Sessions
):
    """# S: a flood of one network takes no more than its share of the connections to the database"""
    network_key = SignInOrigin("", "192.0.2.66", None).network_key
    await _failed_before(sessions, 1, [network_key])

    async def waiting() -> int:
        async with sessions.begin() as own:
            count: int = (await own.execute(_WAITING)).scalar_one()
            return count

    async with sessions.begin() as session:
        await session.execute(
            select(SignInFailures).where(SignInFailures.key == network_key).with_for_update()
        )
        flood = [
            asyncio.create_task(
                _sign_in(new_client(address="192.0.2.66"), f"{number}@stranger.example", "wrong")
            )
            for number in range(30)
        ]
        async with asyncio.timeout(20):
            while await waiting() < COUNTED_AT_ONCE:  # noqa: ASYNC110 - the database tells nobody who waits
                await asyncio.sleep(0.01)

        assert (await signed_in.client.get("/api/v1/me")).status_code == 200
        assert await waiting() == COUNTED_AT_ONCE

    assert set(await asyncio.gather(*flood)) == {401}
    assert await _sign_in(new_client(), signed_in.user.email) == 201


class _RecordingHasher(argon2.PasswordHasher):
    """Hashes nothing before it is told to, and tells in which order it did."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8192, parallelism=1)
        self.may_begin = threading.Event()
        self.verified: list[str] = []

    @override
    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        assert self.may_begin.wait(60)
        self.verified.append(str(password))
        return super().verify(hash, password)


class _CountingPasswords(Passwords):
    """Tells how many have come to be verified. Each stands in line before another one can see the count."""

    def __init__(self, hasher: argon2.PasswordHasher) -> None:
        super().__init__(hasher)
        self._come = 0
        self._changed = asyncio.Condition()

    @override
    async def verify(self, stored: str | None, password: str, origin: SignInOrigin) -> PasswordCheck:
        verifying = asyncio.ensure_future(super().verify(stored, password, origin))
        async with self._changed:
            self._come += 1
            self._changed.notify_all()
        return await verifying

    async def have_come(self, number: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self._come >= number)


@pytest.mark.parametrize(("strangers", "networks"), [(40, 1), (42, 7), (120, 120)])
async def test_many_sign_ins_of_strangers_at_once_refuse_no_true_one(
    settings, sessions: Sessions, account, strangers: int, networks: int
):
    """# S: hashing by turns, for a browser that is not known"""
    hasher = _RecordingHasher()
    passwords = _CountingPasswords(hasher)
    async with sessions.begin() as session:
        user = await make_user(session, account.id, password_hash=hasher.hash(PASSWORD))
    app = create_app(settings, passwords)

    async def one(email: str, address: str, password: str) -> int:
        async with open_client(app, address=address) as client:
            return await _sign_in(client, email, password)

    async with app.router.lifespan_context(app):
        trying = [
            asyncio.create_task(one(f"{number}@stranger.example", f"198.51.100.{number % networks}", "wrong"))
            for number in range(strangers)
        ]
        await passwords.have_come(strangers)
        true = asyncio.create_task(one(user.email, "192.0.2.7", PASSWORD))
        await passwords.have_come(strangers + 1)
        hasher.may_begin.set()
        statuses = await asyncio.gather(*trying)

    assert (await true, set(statuses)) == (201, {401})
    # After the two that were served when it came, at most one of each other network.
    assert hasher.verified.index(PASSWORD) <= 2 + networks


async def test_counting_a_sign_in_compiles_no_statement_anew(signed_in: SignedIn, new_client: NewClient):
    """A flood of guesses is counted with statements that are known."""
    kept: list[tuple[str, CacheStats]] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def keep(_connection: object, _cursor: object, statement: str, *more: object) -> None:
        _parameters, context, _many = more
        assert isinstance(context, DefaultExecutionContext)
        # Plain text has nothing to compile.
        if context.compiled is not None:
            kept.append((statement, context.cache_hit))

    try:
        for _ in range(2):
            assert await _sign_in(new_client(address="192.0.2.66"), signed_in.user.email, "wrong") == 401
    finally:
        event.remove(Engine, "before_cursor_execute", keep)

    assert any("INSERT INTO sign_in_failures" in statement for statement, _ in kept)
    first, second = kept[: len(kept) // 2], kept[len(kept) // 2 :]
    assert [statement for statement, _ in first] == [statement for statement, _ in second]
    assert {hit for _, hit in second} == {CacheStats.CACHE_HIT}
