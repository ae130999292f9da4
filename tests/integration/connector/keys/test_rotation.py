"""Key-encryption keys are rotated, data keys wrapped anew and old keys retired, while everything goes on."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.keys import service
from shared.crypto.envelope import Place, Sealed
from shared.crypto.key_ages import KEY_LIFETIME
from shared.crypto.key_provider import KeyFile, KeyNotChangeable
from shared.database import Sessions
from shared.driver import asyncpg_dsn, new_id
from shared.keyring import Keyring
from shared.process import KEYS_OVERDUE
from shared.tables import AccountKey
from tests.commands import run_here
from tests.conftest import Database
from tests.factories import make_account

_ACCOUNTS = 25
_CLIENT_ID = "amzn1.application-oa2-client.test"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    KeyFile.create(tmp_path / "account-keys.json")
    return tmp_path / "account-keys.json"


def _place(account_id: UUID) -> Place:
    return Place("accounts", "test", account_id)


async def _accounts(sessions: Sessions, keyring: Keyring, count: int) -> dict[UUID, Sealed]:
    sealed = {}
    for _ in range(count):
        async with sessions.begin() as session:
            account = await make_account(session, keyring)
        keys = await keyring.of(sessions, account.id)
        sealed[account.id] = keys.seal(_place(account.id), account.id.bytes)
    return sealed


async def _opens(sessions: Sessions, keyring: Keyring, sealed: dict[UUID, Sealed]) -> None:
    for account_id, value in dict(sealed).items():
        keys = await keyring.of(sessions, account_id)
        assert keys.open(_place(account_id), value) == account_id.bytes


async def test_rewrapping_goes_on_where_it_was_and_old_values_open(sessions: Sessions, key_file: Path):
    file = KeyFile.load(key_file)
    sealed = await _accounts(sessions, Keyring(file), 3)
    file.add(use=True)

    progress: list[tuple[int, int]] = []

    def break_off(done: int, total: int) -> None:
        progress.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await service.rewrap(sessions, file, break_off, batch=2)
    assert await service.rewrap(sessions, file, lambda *done: progress.append(done), batch=2) == 2
    assert await service.rewrap(sessions, file, lambda *done: progress.append(done), batch=2) == 0

    assert progress == [(2, 6), (4, 6), (2, 2)]
    assert [(use.key_id, use.wrapped) for use in await service.uses(sessions, file)] == [("k1", 0), ("k2", 6)]
    file.remove("k1")
    await _opens(sessions, Keyring(file), sealed)


async def test_rotation_under_load_is_noticed_by_nobody(sessions: Sessions, key_file: Path):
    sealed = await _accounts(sessions, Keyring(KeyFile.load(key_file)), _ACCOUNTS)
    running = KeyFile.load(key_file)
    rounds = 0
    stop = asyncio.Event()

    async def traffic() -> None:
        nonlocal rounds
        while not stop.is_set():
            # A process that has just started, on the file that the running ones share.
            await _opens(sessions, Keyring(running), sealed)
            sealed.update(await _accounts(sessions, Keyring(running), 1))
            rounds += 1

    clients = [asyncio.create_task(traffic()) for _ in range(4)]
    operator = KeyFile.load(key_file)
    for number in range(2, 7):
        new = operator.add(use=True)
        await service.rewrap(sessions, operator, lambda _done, _total: None)
        # An account that was just being made may have been missed.
        while True:
            await service.rewrap(sessions, operator, lambda _done, _total: None)
            try:
                await service.retire(sessions, operator, f"k{number - 1}")
                break
            except KeyNotChangeable:
                continue
        assert new == f"k{number}"
    stop.set()
    await asyncio.gather(*clients)

    assert rounds >= 4
    assert operator.key_ids == ("k6",)
    await _opens(sessions, Keyring(operator), sealed)


async def _run(database: Database, key_file: Path, *arguments: str) -> tuple[int, str]:
    environment = {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(key_file),
        "REPLYCO_AMAZON_CLIENT_ID": _CLIENT_ID,
        "REPLYCO_AMAZON_CLIENT_SECRET": "canary-old-secret",
        "REPLYCO_AMAZON_NEW_CLIENT_SECRET": "canary-new-secret",
    }
    return await run_here(environment, "keys", *arguments)


async def test_an_operator_rotates_rewraps_and_retires(
    sessions: Sessions, database: Database, key_file: Path
):
    sealed = await _accounts(sessions, Keyring(KeyFile.load(key_file)), 2)

    code, output = await _run(database, key_file, "client-secret")
    assert (code, "canary" in output) == (0, False)
    assert (await _run(database, key_file, "rotate"))[0] == 0
    code, output = await _run(database, key_file, "retire", "k1")
    assert (code, "keys rewrap" in output) == (1, True)
    code, output = await _run(database, key_file, "rewrap")
    assert (code, "5 keys and secrets are wrapped anew" in output) == (0, True)
    code, output = await _run(database, key_file, "status")
    assert "k1: wraps 0, not needed any more" in output
    assert "k2: wraps 5, the current one, made " in output
    assert code == 0
    assert (await _run(database, key_file, "retire", "k1"))[0] == 0

    await _opens(sessions, Keyring(KeyFile.load(key_file)), sealed)
    secrets = ClientSecrets(
        sessions, KeyFile.load(key_file), _CLIENT_ID, SecretStr("old"), registry=CollectorRegistry()
    )
    assert [secret.get_secret_value() for secret in await secrets.newest_first()] == [
        "canary-new-secret",
        "old",
    ]


async def test_a_key_for_several_machines_is_first_added_then_used(database: Database, key_file: Path):
    code, output = await _run(database, key_file, "rotate", "--later")
    assert (code, "keys use k2" in output) == (0, True)
    assert KeyFile.load(key_file).current_id == "k1"

    assert (await _run(database, key_file, "use", "k2"))[0] == 0

    assert KeyFile.load(key_file).current_id == "k2"


async def test_status_tells_of_a_key_that_is_missing(sessions: Sessions, database: Database, key_file: Path):
    await _accounts(sessions, Keyring(KeyFile.load(key_file)), 1)
    file = KeyFile.load(key_file)
    file.add(use=True)
    file.remove("k1")

    code, output = await _run(database, key_file, "status")

    assert code == 1
    assert "k1: wraps 2, NOT IN THE FILE" in output
    assert (await _run(database, key_file, "rewrap"))[0] == 1


@pytest.mark.usefixtures("short_tables")
async def test_what_is_counted_stands_in_indexes(sessions: Sessions, database: Database):
    """With ten million delivered mails, none of them is looked at; a plan says so with fewer."""
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        account_id, address_id = await _address(owner)
        await owner.execute(
            "INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id, content_key,"
            " envelope, raw, state) SELECT gen_random_uuid(), $1, $2, 's', '192.0.2.1', 1, 'm1', '', '', '', CASE number % 1000"
            " WHEN 1 THEN 'accepted' WHEN 2 THEN 'held' WHEN 3 THEN 'resting' ELSE 'delivered' END FROM generate_series(1, 20000) number",
            account_id,
            address_id,
        )
        await owner.execute("ANALYZE accepted_mail")
        plan = await owner.fetch(f"EXPLAIN {service.UNOPENED_MAIL}")
    finally:
        await owner.close()

    lines = [row[0] for row in plan]
    assert not [line for line in lines if "Seq Scan on accepted_mail_other" in line], lines
    assert await service.unopened_mail(sessions) == {"m1": 60}


async def _address(owner: "asyncpg.Connection[asyncpg.Record]") -> tuple[UUID, UUID]:
    account_id, integration_id, address_id = new_id(), new_id(), new_id()
    await owner.execute("INSERT INTO accounts (id, name) VALUES ($1, 'A')", account_id)
    await owner.execute(
        "INSERT INTO integrations (id, account_id, region, home_country, seller_id) VALUES ($1, $2, 'eu', 'DE', 'S1')",
        integration_id,
        account_id,
    )
    await owner.execute(
        "INSERT INTO relay_addresses (id, account_id, integration_id, local_part) VALUES ($1, $2, $3, 'a1')",
        address_id,
        account_id,
        integration_id,
    )
    return account_id, address_id


async def test_another_installations_file_is_not_taken_for_this_ones(
    sessions: Sessions, database: Database, key_file: Path, tmp_path: Path
):
    await _accounts(sessions, Keyring(KeyFile.load(key_file)), 1)
    other = tmp_path / "other.json"
    KeyFile.create(other)
    environment = {"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}

    code, told = await run_here(environment | {"REPLYCO_KEY_FILE": str(other)}, "keys", "status")
    own_code, own_told = await run_here(environment | {"REPLYCO_KEY_FILE": str(key_file)}, "keys", "status")

    assert code == 1
    assert "k1: wraps 2, NOT THE KEY OF THIS DATABASE" in told
    assert own_code == 0
    assert "k1: wraps 2, the current one, made " in own_told


def _forget_dates(key_file: Path) -> None:
    content = json.loads(key_file.read_bytes())
    del content["made"]
    key_file.write_text(json.dumps(content))


async def test_status_tells_what_is_overdue_and_what_was_never_dated(
    sessions: Sessions, database: Database, key_file: Path
):
    await _accounts(sessions, Keyring(KeyFile.load(key_file)), 2)
    long_ago = datetime.now(UTC) - KEY_LIFETIME
    async with sessions.begin() as session:
        [first, _] = (await session.scalars(select(AccountKey).where(AccountKey.purpose == "seal"))).all()
        first.created_at = long_ago

    code, told = await _run(database, key_file, "status")

    assert code == KEYS_OVERDUE
    assert (
        f"sealed with: 2, the oldest made {long_ago:%Y-%m-%d}. OVERDUE after 365 days: 1 of them, `keys rotate-data-keys`."
        in told
    )

    # As a version wrote it that kept no dates.
    _forget_dates(key_file)
    code, told = await _run(database, key_file, "status")

    assert code == KEYS_OVERDUE
    assert "OVERDUE: nothing says when it was made; `keys rotate`" in told
    assert (await _run(database, key_file, "rotate"))[0] == 0
    assert "k2: wraps 0, the current one, made " in (await _run(database, key_file, "status"))[1]
