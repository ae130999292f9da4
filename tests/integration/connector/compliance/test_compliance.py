"""The command `compliance`, over a real installation: what it says is so, and it says no more than it has seen."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.accounts.audit import system_audit_entry
from services.connector.compliance.checks import CHECKS, State
from services.connector.compliance.requirements import By, load_lines
from shared.crypto.envelope import Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import ApiKey, OidcProvider
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_order, make_user

CHECKED = {point.asks: point.check for line in load_lines() for point in line.points if point.check}
OLD = timedelta(days=400)


@pytest.fixture
def environment(database: Database, keys: Keys) -> dict[str, str]:
    return {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
        "REPLYCO_AMAZON_CLIENT_ID": "client",
        "REPLYCO_AMAZON_CLIENT_SECRET": "canary-secret",
        "REPLYCO_PUBLIC_URL": "https://app.example",
        "REPLYCO_TRUSTED_PROXIES": "none",
    }


async def looked_at(environment: dict[str, str]) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and by the name of each look what it has seen."""
    code, output = await run_here(environment, "compliance", "--json")
    points = json.loads(output)["points"]
    return code, {
        str(CHECKED[each["asks"]]): (each["state"], each["evidence"])
        for each in points
        if each["asks"] in CHECKED
    }


async def test_a_new_installation_has_nothing_to_do_and_much_to_show(environment: dict[str, str]):
    code, found = await looked_at(environment)

    assert code == 0
    assert found.keys() == CHECKS.keys()
    assert {name for name, (state, _) in found.items() if state == State.TO_SHOW} == {
        "people", "client_secret", "key_service", "public_tls", "backups",
    }  # fmt: skip
    assert found["messages"][0] == State.DIFFERS
    assert found["database_tls"][0] == State.OK


async def test_what_is_printed_has_each_point_with_its_state_and_the_reservation(environment: dict[str, str]):
    code, output = await run_here(environment, "compliance")

    assert code == 0
    for line in load_lines():
        assert f"\n{line.section} {line.topic}\n" in output
        for point in line.points:
            states = [state for state in State if f"  {state:10}{point.asks}\n" in output]
            assert len(states) == 1, point.asks
            if point.by is not By.CHECK:
                assert point.how in output
    assert "we have not seen it" in output


async def test_what_is_not_so_is_to_do_and_names_nobody(
    environment: dict[str, str],
    database: Database,
    owner_sessions: Sessions,
    keyring: Keyring,
    tmp_path: Path,
):
    now = datetime.now(UTC)
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring, name="Canary GmbH")
        user = await make_user(session, account.id, email="canary@seller.example")
        user.created_at = now - OLD
        session.add(
            ApiKey(
                id=new_id(), account_id=account.id, name="canary", hint="x", secret_hash=b"x", created_by=user.id,
                general_admin="none", inbox_messages="view", created_at=now - OLD,
            )
        )  # fmt: skip
        store = await make_integration(session, account.id)
        await make_order(session, keyring, store, personal_ends_at=now - timedelta(days=9), changed_at=now - timedelta(days=9),
                         purchased_at=now - 2 * OLD, created_at=now - 2 * OLD)  # fmt: skip
    for_all_to_read = tmp_path / "keys.json"
    shutil.copyfile(environment["REPLYCO_KEY_FILE"], for_all_to_read)
    for_all_to_read.chmod(0o644)

    code, found = await looked_at(
        environment
        | {
            "REPLYCO_DATABASE_URL": database.url(OWNER),
            "REPLYCO_KEY_FILE": str(for_all_to_read),
            "REPLYCO_PUBLIC_URL": "http://localhost:8000",
            "REPLYCO_DEVELOPMENT": "true",
        }
    )

    assert code == 1
    assert {name for name, (state, _) in found.items() if state == State.TO_DO} == {
        "database_role", "password_ages", "second_factors", "api_keys", "public_tls", "ended_orders", "ended_personal",
        "key_file", "production", "logs_only_grow",
    }  # fmt: skip
    assert found["password_ages"][1].startswith("1 of 1 passwords are older than 12 months.")
    assert found["second_factors"][1].startswith("1 of 1 people with a password have no second factor.")
    assert found["api_keys"][1].startswith("1 of 1 API keys are older than 12 months.")
    assert f"{now - timedelta(days=9):%Y-%m-%d}" in found["ended_personal"][1]
    assert "canary" not in str(found).lower()


async def test_what_was_done_since_counts_and_whom_a_provider_lets_in_does_not(
    environment: dict[str, str], owner_sessions: Sessions, keyring: Keyring
):
    now = datetime.now(UTC)
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring)
        user = await make_user(session, account.id)
        user.created_at, user.totp_confirmed_at = now - OLD, now
        session.add(system_audit_entry(account.id, "password_changed", user.id))
        company = await make_account(session, keyring)
        (await make_user(session, company.id)).created_at = now - OLD
        session.add(
            OidcProvider(account_id=company.id, issuer="https://login.example", client_id="c", client_secret=Sealed(b"sealed"), is_only=True)
        )  # fmt: skip
        (await make_user(session, account.id)).disabled_at = now

    code, found = await looked_at(environment | {"REPLYCO_MESSAGES_END_WITH_ORDERS": "true"})

    assert code == 0
    assert found["password_ages"] == (State.OK, "None of 1 passwords is older than 12 months.")
    assert found["second_factors"] == (
        State.OK,
        "All 1 people with a password have a second factor. 1 accounts do not demand it of everybody.",
    )
    assert found["people"][1].startswith("2 people may sign in, in 2 accounts.")
    assert found["logs_only_grow"][1].endswith(
        f"the audit log's first entry is from {now:%Y-%m-%d} and the read log is empty."
    )
    assert found["messages"][0] == State.OK


async def test_a_look_that_fails_is_told_and_the_others_go_on(
    environment: dict[str, str], database: Database, owner_sessions: Sessions
):
    async with owner_sessions.begin() as session:
        await session.execute(text("REVOKE SELECT ON api_keys FROM replyco_connector"))

    code, found = await looked_at(environment)

    assert code == 1
    assert [(name, evidence) for name, (state, evidence) in found.items() if state == State.TO_DO] == [
        ("api_keys", "It could not be looked at (ProgrammingError). `doctor` says whether tables and rights are as they must be."),
    ]  # fmt: skip
