"""What Amazon refuses is sorted by who has to act: never red for Amazon's trouble or ours, red for the seller's alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update

from services.connector.amazon.access import create_amazon
from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    GrantInvalid,
    RoleMissing,
    TokenRefused,
)
from services.connector.amazon.lwa import Tokens
from services.connector.amazon.sellers import get_marketplace_participations
from services.connector.tokens.service import store_grant
from services.sandbox.state.memory import Authorization
from shared.database import Sessions
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import Grant, Integration, ServiceTrouble
from tests.factories import make_integration
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import BRIGHT_PORCH, LAMPENLADEN, Amazon, connect
from tests.integration.connector.tokens.conftest import (
    Process,
    Store,
    age,
    let_pass,
    make_due,
    process_with,
    the_grant,
)

REVOKED = '{"errors": [{"code": "Unauthorized", "message": "Access to requested resource is denied.", "details": "The access token you provided is revoked, malformed or invalid."}]}'
ROLE = '{"errors": [{"code": "Unauthorized", "message": "Access to requested resource is denied.", "details": ""}]}'
SECRET = '{"errors": [{"code": "Unauthorized", "message": "", "details": "The LWA secret token you provided has expired."}]}'


async def lock(sessions: Sessions) -> set[str]:
    async with sessions.begin() as session:
        return set(await session.scalars(select(Integration.lock)))


async def troubles(sessions: Sessions) -> dict[str, str]:
    async with sessions.begin() as session:
        rows = await session.execute(select(ServiceTrouble.scope, ServiceTrouble.code))
        return {row.scope: row.code for row in rows}


async def ask(process: Process, store: Store) -> None:
    await process.vault.call(store.account_id, store.integration_id, get_marketplace_participations)


async def test_a_grant_refused_once_is_not_yet_revoked_and_a_success_ends_it(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions)
    amazon.fail_tokens(400, '{"error": "invalid_grant"}')
    with pytest.raises(GrantInvalid):
        await processes[0].access_token(store)
    refused = await the_grant(sessions)

    await make_due(sessions)
    await processes[1].vault.renew_due()

    grant = await the_grant(sessions)
    assert refused.refused_at is not None
    assert (grant.refused_at, grant.refused_by, grant.revoked_at, grant.version) == (None, None, None, 2)
    assert "red" not in await lock(sessions)


async def test_a_grant_refused_again_after_a_minute_is_revoked_and_comes_back_by_itself(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions)
    amazon.fail_tokens(400, '{"error": "invalid_grant"}', count=3)
    for _ in range(2):
        with pytest.raises(GrantInvalid):
            await processes[0].access_token(store)
    assert (await the_grant(sessions)).revoked_at is None
    await let_pass(sessions, 2)

    await processes[1].vault.renew_due()
    revoked = await the_grant(sessions)
    assert revoked.revoked_at is not None
    assert revoked.refresh_token.ciphertext
    assert await lock(sessions) == {"red"}

    await make_due(sessions)
    await processes[1].vault.renew_due()
    assert (await the_grant(sessions)).revoked_at is None
    assert "red" not in await lock(sessions)


async def test_a_new_token_that_the_api_calls_revoked_counts_after_a_second_time(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    amazon.fail_api(403, REVOKED, count=4)

    with pytest.raises(TokenRefused):
        await ask(processes[0], store)
    once = await the_grant(sessions)
    await let_pass(sessions, 2)
    # That Login with Amazon gives a token does not take back what the API has said; the store is asked again.
    await processes[0].vault.renew_due()
    async with sessions.begin() as session:
        jobs = (await session.scalars(text("SELECT kind FROM jobs"))).all()
    with pytest.raises(TokenRefused):
        await ask(processes[0], store)

    assert (once.refused_by, once.revoked_at, once.version) == ("sp_api", None, 2)
    assert "refresh_participations" in jobs
    assert (await the_grant(sessions)).revoked_at is not None
    await ask(processes[0], store)
    assert (await the_grant(sessions)).refused_at is None


async def test_a_token_refused_once_is_renewed_and_the_seller_notices_nothing(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    amazon.fail_api(403, REVOKED)

    await ask(processes[0], store)

    grant = await the_grant(sessions)
    assert (grant.version, grant.refused_at) == (2, None)


async def test_one_sellers_refusal_leaves_the_others_token_alone(
    processes: list[Process], store: Store, signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    other = Store(
        store.account_id,
        UUID((await connect(signed_in.client, BRIGHT_PORCH, "US"))["integration_id"]),
    )
    before = await processes[0].access_token(other)
    amazon.fail_api(403, REVOKED, count=2)

    with pytest.raises(TokenRefused):
        await ask(processes[0], store)

    assert await processes[0].access_token(other) == before


async def test_trouble_at_amazon_delays_and_never_turns_red(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    await age(sessions, 61)
    amazon.fail_tokens(503, "<html></html>", "text/html", count=3)
    for _ in range(3):
        with pytest.raises(AmazonUnavailable):
            await processes[0].access_token(store)
    delayed = await the_grant(sessions)
    known = await troubles(sessions)

    await make_due(sessions)
    await processes[1].vault.renew_due()

    assert delayed.delayed_since is not None
    assert known == {"lwa": "amazon_unavailable"}
    assert (await the_grant(sessions)).delayed_since is None
    assert await troubles(sessions) == {}
    assert "red" not in await lock(sessions)


async def test_our_own_credentials_refused_touch_no_grant_and_alarm_the_operators(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    """# S: our own credentials refused alarm the operators and leave all sellers as they are."""
    await age(sessions)
    amazon.fail_tokens(401, '{"error": "invalid_client"}', count=2)
    with pytest.raises(ClientMisconfigured):
        await processes[0].access_token(store)

    grant = await the_grant(sessions)
    assert (grant.refused_at, grant.delayed_since) == (None, None)
    assert (await troubles(sessions))["application"] == "invalid_client"
    assert "red" not in await lock(sessions)
    # A token from before still opens the store; that is no proof that we get the next one.
    await age(sessions, -56)
    await ask(processes[0], store)
    assert (await troubles(sessions))["application"] == "invalid_client"
    await age(sessions)
    amazon.state.token_failure = None
    await processes[0].access_token(store)
    assert await troubles(sessions) == {}


async def test_tokens_of_a_secret_that_has_ended_are_not_used_again(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    amazon.fail_api(403, SECRET)

    await ask(processes[0], store)

    assert (await the_grant(sessions)).version == 2


async def test_a_missing_role_is_noted_with_its_operation_and_ended_by_it(
    processes: list[Process], store: Store, sessions: Sessions, amazon: Amazon
):
    amazon.fail_api(403, ROLE)

    with pytest.raises(RoleMissing):
        await ask(processes[0], store)
    missing = await the_grant(sessions)
    await ask(processes[0], store)

    assert missing.role_missing_operation == "getMarketplaceParticipations"
    assert missing.refused_at is None
    assert (await the_grant(sessions)).role_missing_since is None


async def test_when_many_are_refused_at_once_it_is_amazons_trouble_and_no_lock_turns_red(
    processes: list[Process], signed_in: SignedIn, sessions: Sessions, keyring: Keyring, amazon: Amazon
):
    """A wave of refusals over a region is not believed, however often it is repeated, until it ebbs."""
    tokens = await make_stores(sessions, keyring, signed_in.account.id, amazon, 8)
    amazon.fail_tokens(400, '{"error": "invalid_grant"}', count=100)
    for _ in range(3):
        await make_due(sessions)
        await processes[0].vault.renew_due()
        await let_pass(sessions, 20)

    async with sessions.begin() as session:
        grants = (await session.scalars(select(Grant))).all()
    assert all(grant.refused_at is not None and grant.revoked_at is None for grant in grants)
    assert await troubles(sessions) == {"sp-api:eu": "many_grants_refused"}
    assert "red" not in await lock(sessions)

    # It ebbs: all but one are good again, and that one's refusal is believed now.
    amazon.state.token_failure = None
    amazon.state.refresh_tokens[tokens["A1WAVE000003"]].revoked = True
    for _ in range(2):
        await make_due(sessions)
        await asyncio.gather(*(process.vault.renew_due() for process in processes))
    async with sessions.begin() as session:
        revoked = (await session.scalars(select(Grant.seller_id).where(Grant.revoked_at.is_not(None)))).all()
        refused = (await session.scalars(select(Grant.seller_id).where(Grant.refused_at.is_not(None)))).all()
    await processes[0].vault.renew_due()
    assert (revoked, refused) == (["A1WAVE000003"], ["A1WAVE000003"])
    assert await troubles(sessions) == {}
    assert LAMPENLADEN not in tokens


async def test_an_hour_without_amazon_turns_no_lock_red_and_all_recover_by_themselves(
    processes: list[Process], signed_in: SignedIn, sessions: Sessions, keyring: Keyring, amazon: Amazon
):
    await make_stores(sessions, keyring, signed_in.account.id, amazon, 20)
    nowhere = create_amazon("client", SecretStr("secret"), amazon_base_url="http://127.0.0.1:1")
    away = process_with(processes[0].sessions, processes[0].keyring, nowhere)
    await age(sessions, 50)
    for _ in range(6):
        await make_due(sessions)
        await away.vault.renew_due()
        await let_pass(sessions, 10)
    async with sessions.begin() as session:
        delayed = (await session.scalars(select(Grant).where(Grant.delayed_since.is_not(None)))).all()
    assert len(delayed) == 20
    assert await lock(sessions) == {"pending"}
    assert await troubles(sessions) == {"lwa": "amazon_unavailable"}

    # Nobody clicks: what was claimed in vain is due again within minutes.
    await let_pass(sessions, 6)
    await processes[1].vault.renew_due()

    async with sessions.begin() as session:
        grants = (await session.scalars(select(Grant))).all()
    assert all(grant.delayed_since is None and grant.version == 2 for grant in grants)
    assert await troubles(sessions) == {}
    assert "red" not in await lock(sessions)
    await nowhere.close()


async def make_stores(
    sessions: Sessions, keyring: Keyring, account_id: UUID, amazon: Amazon, count: int
) -> dict[str, str]:
    """Stores with grants that the sandbox knows. Their refresh tokens."""
    tokens = {}
    async with sessions.begin() as session:
        account_keys = await keyring.of(sessions, account_id)
        for number in range(count):
            seller_id = f"A1WAVE{number:06}"
            integration = await make_integration(session, account_id, name=f"Store {number}")
            await session.execute(
                update(Integration).where(Integration.id == integration.id).values(seller_id=seller_id)
            )
            authorization = amazon_authorization(amazon, seller_id)
            tokens[seller_id] = amazon.state.issue_refresh_token(authorization)
            await store_grant(
                session,
                account_keys,
                integration_id=integration.id,
                region=Region.EU,
                seller_id=seller_id,
                tokens=made_tokens(tokens[seller_id]),
                consented_at=datetime.now(UTC),
            )
    return tokens


def amazon_authorization(amazon: Amazon, seller_id: str) -> Authorization:
    return Authorization(seller_id, Region.EU, amazon.state.settings.client_id, datetime.now(UTC))


def made_tokens(refresh_token: str) -> Tokens:
    return Tokens(SecretStr("Atza|old"), SecretStr(refresh_token), timedelta(hours=1))
