"""Access tokens: kept, renewed once for all processes, never lost by an error."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from services.connector.amazon.access import Amazon as AmazonAccess
from services.connector.amazon.access import create_amazon
from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured, GrantInvalid, Throttled
from services.connector.tokens.service import AccessToken, GrantMissing, access_token, destroy_grant
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions, new_id
from shared.keyring import Keyring
from shared.tables import Grant
from tests.conftest import Database, Keys
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, answering, connect, http_answer


@dataclass
class Process:
    """What one process has: its own connections, keyring and way to Amazon."""

    sessions: Sessions
    keyring: Keyring
    amazon: AmazonAccess

    async def access_token(self, store: "Store", refused_version: int | None = None) -> AccessToken:
        return await access_token(
            self.sessions,
            self.keyring,
            self.amazon,
            store.account_id,
            store.integration_id,
            refused_version=refused_version,
        )


@dataclass
class Store:
    account_id: UUID
    integration_id: UUID


@pytest.fixture
async def processes(database: Database, keys: Keys, amazon: Amazon):
    """Two processes that know nothing of each other."""
    engines = [create_engine(database.url("replyco_connector"), application_name="tests") for _ in range(2)]
    made = [
        Process(
            create_sessions(engine),
            Keyring(KeyFile.load(keys.key_file)),
            create_amazon(
                amazon.state.settings.client_id,
                amazon.state.settings.client_secret,
                amazon_base_url=amazon.url,
            ),
        )
        for engine in engines
    ]
    yield made
    for process in made:
        await process.amazon.close()
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def store(signed_in: SignedIn) -> Store:
    attempt = await connect(signed_in.client)
    return Store(signed_in.account.id, UUID(attempt["integration_id"]))


async def age(sessions: Sessions, minutes: int = 56) -> None:
    """Let the access token come near its end."""
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(
                access_token_expires_at=Grant.access_token_expires_at
                - func.make_interval(0, 0, 0, 0, 0, minutes)
            )
        )


async def the_grant(sessions: Sessions) -> Grant:
    async with sessions.begin() as session:
        return (await session.scalars(select(Grant))).one()


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
            await Process(processes[0].sessions, processes[0].keyring, late).access_token(store)
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
    token = await processes[0].access_token(store)

    assert "Atza" not in repr(token)
    assert isinstance(token.value, SecretStr)
