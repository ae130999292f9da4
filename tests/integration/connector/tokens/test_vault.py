"""Access tokens: kept, renewed once for all processes, never lost by an error."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import func, text, update

from services.connector.amazon.access import create_amazon
from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured, GrantInvalid, Throttled
from services.connector.tokens.service import GrantMissing, RenewalBusy, destroy_grant
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import Grant
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, answering, http_answer
from tests.integration.connector.tokens.conftest import (
    Process,
    Store,
    age,
    make_due,
    process_with,
    the_grant,
)


async def test_a_fresh_token_costs_no_call(processes: list[Process], store: Store, amazon: Amazon):
    first = await processes[0].access_token(store)
    second = await processes[1].access_token(store)

    assert first == second
    assert first.value.get_secret_value() in amazon.state.access_tokens
    assert amazon.state.counters.token["refresh_token"] == 0


async def test_many_callers_in_two_processes_renew_exactly_once(
    processes: list[Process], store: Store, amazon: Amazon, sessions: Sessions
):
    await age(sessions)

    tokens = await asyncio.gather(*(process.access_token(store) for process in processes for _ in range(8)))

    assert amazon.state.counters.token["refresh_token"] == 1
    assert len({token.value.get_secret_value() for token in tokens}) == 1
    assert {token.version for token in tokens} == {2}


async def test_a_refused_token_is_renewed_once_however_many_were_refused(
    processes: list[Process], store: Store, amazon: Amazon
):
    before = await processes[0].access_token(store)

    tokens = await asyncio.gather(
        *(
            process.access_token(store, refused_version=before.version)
            for process in processes
            for _ in range(4)
        )
    )

    assert amazon.state.counters.token["refresh_token"] == 1
    assert {token.version for token in tokens} == {before.version + 1}


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, '{"error": "invalid_grant"}', GrantInvalid),
        (401, '{"error": "invalid_client"}', ClientMisconfigured),
        (500, '{"error": "ServerError"}', AmazonUnavailable),
        (429, '{"message": "slow down"}', Throttled),
        (503, "<html></html>", AmazonUnavailable),
    ],
)
async def test_an_error_leaves_the_grant_as_it_was(
    *,
    processes: list[Process],
    store: Store,
    amazon: Amazon,
    sessions: Sessions,
    status: int,
    body: str,
    failure: type[Exception],
):
    await age(sessions)
    before = await the_grant(sessions)
    amazon.fail_tokens(status, body)

    with pytest.raises(failure):
        await processes[0].access_token(store)

    after = await the_grant(sessions)
    assert (after.refresh_token, after.access_token, after.version) == (
        before.refresh_token,
        before.access_token,
        before.version,
    )
    assert after.lease_holder is None
    assert (await processes[1].access_token(store)).version == 2


async def test_the_lease_of_a_dead_process_ends_by_itself(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions)
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(lease_holder=new_id(), leased_until=func.now() + text("interval '1 second'"))
        )

    token = await processes[0].access_token(store)

    assert token.version == 2
    assert amazon.state.counters.token["refresh_token"] == 1


async def test_a_renewal_in_flight_does_not_bring_back_destroyed_tokens(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions)

    async def disconnect_meanwhile(_request: bytes) -> bytes:
        async with sessions.begin() as session:
            await destroy_grant(session, store.integration_id)
        return http_answer(200, '{"access_token": "Atza|late", "token_type": "bearer", "expires_in": 3600}')

    async with answering(disconnect_meanwhile) as address:
        late = create_amazon("client", SecretStr("secret"), amazon_base_url=address)
        with pytest.raises(GrantMissing):
            await process_with(processes[0].sessions, processes[0].keyring, late).access_token(store)
        await late.close()

    grant = await the_grant(sessions)
    assert (grant.refresh_token.ciphertext, grant.access_token) == (b"", None)


async def test_a_store_of_another_account_has_no_token_here(
    processes: list[Process], store: Store, signed_in: SignedIn
):
    with pytest.raises(GrantMissing):
        await processes[0].access_token(Store(store.account_id, new_id()))


async def test_a_revoked_grant_is_told_and_kept(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions)
    amazon.state.revoke(LAMPENLADEN)

    with pytest.raises(GrantInvalid):
        await processes[0].access_token(store)

    assert (await the_grant(sessions)).refresh_token.ciphertext != b""


async def test_no_token_shows_itself(processes: list[Process], store: Store):
    """# S: tokens never in a repr or exception text."""
    token = await processes[0].access_token(store)

    assert "Atza" not in repr(token)
    assert isinstance(token.value, SecretStr)


async def test_a_caller_who_leaves_does_not_end_the_renewal_for_the_others(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions)
    hurried = asyncio.create_task(processes[0].access_token(store))
    patient = asyncio.create_task(processes[0].access_token(store))
    await asyncio.sleep(0)
    hurried.cancel()

    assert (await patient).version == 2
    assert amazon.state.counters.token["refresh_token"] == 1


async def test_a_holder_that_overruns_its_lease_frees_nobody_elses(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    """The first holder's call takes longer than its lease; the second one's lease and token stay."""
    await age(sessions)
    others = new_id()
    called, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: bytes) -> bytes:
        called.set()
        await go_on.wait()
        return http_answer(503, "<html></html>", "text/html")

    async with answering(slow) as address:
        late = create_amazon("client", SecretStr("secret"), amazon_base_url=address)
        first = asyncio.create_task(
            process_with(processes[0].sessions, processes[0].keyring, late).access_token(store)
        )
        await called.wait()
        async with sessions.begin() as session:
            await session.execute(
                update(Grant).values(
                    lease_holder=others, leased_until=func.now() + text("interval '20 seconds'")
                )
            )
        go_on.set()
        with pytest.raises(AmazonUnavailable):
            await first
        await late.close()

    assert (await the_grant(sessions)).lease_holder == others


async def test_waiting_too_long_is_busy_and_nothing_stands_against_the_grant(
    processes: list[Process], store: Store, sessions: Sessions
):
    await age(sessions)
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(lease_holder=new_id(), leased_until=func.now() + text("interval '1 minute'"))
        )

    first = processes[0]
    impatient = process_with(first.sessions, first.keyring, first.amazon, waits_seconds=(0.01,) * 3)
    with pytest.raises(RenewalBusy):
        await impatient.access_token(store)

    grant = await the_grant(sessions)
    assert (grant.delayed_since, grant.refused_at) == (None, None)


async def test_a_token_in_use_is_renewed_before_it_ends_and_once_only(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await processes[0].access_token(store)
    due = (await the_grant(sessions)).next_refresh_at
    ends = (await the_grant(sessions)).access_token_expires_at
    assert due is not None
    assert ends is not None
    assert 8 * 60 < (ends - due).total_seconds() < 16 * 60
    await make_due(sessions)

    await asyncio.gather(*(process.vault.renew_due() for process in processes))

    grant = await the_grant(sessions)
    assert (grant.version, amazon.state.counters.token["refresh_token"]) == (2, 1)
    assert grant.next_refresh_at is not None
    assert (grant.next_refresh_at - due).total_seconds() < 3600


async def test_a_grant_that_nobody_uses_is_looked_after_once_a_week(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(used_at=func.now() - text("interval '3 hours'"), next_refresh_at=func.now())
        )

    await processes[0].vault.renew_due()
    await processes[1].vault.renew_due()

    grant = await the_grant(sessions)
    assert amazon.state.counters.token["refresh_token"] == 1
    assert grant.next_refresh_at is not None
    assert grant.access_token_expires_at is not None
    days = (grant.next_refresh_at - grant.access_token_expires_at).total_seconds() / 86400
    assert 5.5 < days < 7
