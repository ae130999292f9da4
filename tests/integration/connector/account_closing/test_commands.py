"""The operators' commands for an account that ends."""

import pytest

from deploy.demo.postgres import CONNECTOR
from tests.commands import run_here, run_process
from tests.conftest import Database, Keys


@pytest.fixture
def environment(database: Database, keys: Keys) -> dict[str, str]:
    return {"REPLYCO_DATABASE_URL": database.url(CONNECTOR), "REPLYCO_BLOB_URL": keys.blob_url}


async def test_an_account_is_closed_reopened_and_erased(signed_in, environment):
    account = ("--account", str(signed_in.account.id))

    code, closed = await run_here(environment, "accounts", "close", *account, "--yes")
    assert (code, closed.startswith("closed; it may be reopened until")) == (0, True)
    assert (await signed_in.client.get("/api/v1/me")).status_code == 401
    assert "closed, erased after" in (await run_here(environment, "accounts", "list"))[1]
    code, again = await run_here(environment, "accounts", "close", *account, "--yes")
    assert (code, "This account is closed" in again) == (1, True)
    assert (await run_here(environment, "accounts", "reopen", *account))[0] == 0
    assert (await run_here(environment, "accounts", "reopen", *account))[0] == 1
    await run_here(environment, "accounts", "close", *account, "--yes")
    # Without stores there is nothing to wait for.
    code, erased = await run_process(environment, "accounts", "erase", *account, "--yes")
    assert (code, erased.splitlines()[-1]) == (0, "erased")
    assert "\terased " in (await run_here(environment, "accounts", "list"))[1]
    assert (await run_here(environment, "accounts", "close", *account, "--yes"))[0] == 1
    assert (await run_here(environment, "users", "list", *account))[1] == ""


@pytest.mark.parametrize(("typed", "code"), [("Lampen", 1), ("Lampenladen GmbH", 0)])
async def test_an_operator_types_the_name(signed_in, environment, typed: str, code: int):
    account = ("--account", str(signed_in.account.id))

    assert (await run_here(environment, "accounts", "close", *account, typed=f"{typed}\n"))[0] == code
