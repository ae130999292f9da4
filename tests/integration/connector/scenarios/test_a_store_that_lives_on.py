"""What a seller sees of a store that is connected while Amazon is strange: only what he must cure himself turns the lock red."""

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import delete

from services.connector.amazon.sellers import get_marketplace_participations
from services.sandbox.state.scenarios import API_ANSWERS, TOKEN_ANSWERS
from shared.database import Sessions
from shared.errors import Expected
from shared.tables import ThrottleBucket
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import Amazon
from tests.integration.connector.tokens.conftest import Process, Store, age, let_pass, processes, store

__all__ = ["processes", "store"]

# An access token that is refused is one that the seller may have withdrawn; everything else is not his to cure.
NOT_HIS = [
    name
    for name, answer in (TOKEN_ANSWERS | API_ANSWERS).items()
    if not answer.hangs and name not in {"api-token-expired", "api-token-revoked"}
]


async def lock_and_checks(signed_in: SignedIn, store: Store) -> tuple[str, dict[str, str]]:
    shown: dict[str, Any] = (
        await signed_in.client.get(f"/api/v1/integrations/{store.integration_id}")
    ).json()
    return shown["lock"]["state"], {check["code"]: check["state"] for check in shown["checks"]}


async def let_buckets_fill(sessions: Sessions) -> None:
    """Let the minutes pass in which no call is made after a 429."""
    async with sessions.begin() as session:
        await session.execute(delete(ThrottleBucket))


async def ask(process: Process, store: Store) -> None:
    """What the worker does from time to time."""
    await process.vault.call(store.account_id, store.integration_id, get_marketplace_participations)


@pytest.mark.parametrize("scenario", NOT_HIS)
async def test_what_the_seller_cannot_cure_turns_no_lock_red_and_passes_without_a_click(
    *,
    signed_in: SignedIn,
    sessions: Sessions,
    amazon: Amazon,
    processes: list[Process],
    store: Store,
    scenario: str,
):
    before = await lock_and_checks(signed_in, store)
    amazon.state.scenarios.switch_on(scenario)
    await age(sessions)

    with suppress(Expected):
        await ask(processes[0], store)
    during = await lock_and_checks(signed_in, store)
    amazon.state.scenarios.switch_all_off()
    await let_buckets_fill(sessions)
    await ask(processes[0], store)

    assert during[0] == before[0]
    assert "red" not in during[1].values()
    assert await lock_and_checks(signed_in, store) == before


async def test_a_refresh_that_is_refused_once_is_a_notice_and_refused_for_good_a_red_lock(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon, processes: list[Process], store: Store
):
    amazon.state.scenarios.switch_on("token-invalid-grant")
    await age(sessions)

    with suppress(Expected):
        await ask(processes[0], store)
    once = await lock_and_checks(signed_in, store)
    await let_pass(sessions, minutes=2)
    with suppress(Expected):
        await ask(processes[0], store)
    confirmed = await lock_and_checks(signed_in, store)

    assert once[0] != "red"
    assert once[1]["grant_revoked"] == "notice"
    assert confirmed[0] == "red"
    assert confirmed[1]["grant_revoked"] == "red"


async def test_a_new_refresh_token_is_kept(
    sessions: Sessions, amazon: Amazon, processes: list[Process], store: Store
):
    amazon.state.scenarios.switch_on("token-new-refresh-token", count=1)

    for _ in range(2):
        await age(sessions)
        await ask(processes[0], store)

    assert sum(amazon.state.counters.refreshes.values()) == 2
    assert amazon.state.counters.token_errors == {}


async def test_a_rotated_client_secret_is_a_notice_for_us_and_no_red_lock(
    signed_in: SignedIn, sessions: Sessions, amazon: Amazon, processes: list[Process], store: Store
):
    amazon.state.client_secrets.rotate(amazon.state.now())
    await ask(processes[0], store)
    amazon.state.advance_clock(7 * 86_400)
    await age(sessions)

    with suppress(Expected):
        await ask(processes[0], store)

    lock, checks = await lock_and_checks(signed_in, store)
    assert lock != "red"
    assert checks["service_trouble"] == "notice"
