"""Key-encryption keys move from the key file to AWS KMS while everything runs; where KMS is away, that is told and nothing is lost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text

from deploy.demo.postgres import CONNECTOR
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_credentials.service import store_client_secret
from services.connector.authorization.callback_service import _until_written
from services.connector.settings import ConnectorSettings
from shared.crypto.key_provider import KeyFile, KeyFileUnusable, KeyProvider, KeyServiceUnavailable
from shared.crypto.key_source import KeySource
from shared.database import Sessions
from shared.keyring import Keyring
from shared.settings import KeySourceSettings
from tests.commands import run_here
from tests.conftest import Database
from tests.factories import make_account
from tests.integration.connector.conftest import SignedIn
from tests.kms import ARN, SECRET, kms_environment, kms_of, make_key, scripted
from tests.processes import free_port
from tests.s3 import S3, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as running:
        yield running


async def lookup_key(sessions: Sessions, source: KeySource, account_id: UUID) -> bytes:
    """Opened by nothing that was kept in memory."""
    return (await Keyring(source).of(sessions, account_id)).lookup_key


def source_of(environment: dict[str, str]) -> KeySource:
    values = {name.removeprefix("REPLYCO_").lower(): value for name, value in environment.items()}
    return KeySource.open(KeySourceSettings.model_validate(values))


async def test_the_key_file_is_replaced_by_kms_while_everything_runs(
    sessions: Sessions, database: Database, tmp_path: Path, server: S3
):
    path = tmp_path / "account-keys.json"
    KeyFile.create(path)
    file, url = {"REPLYCO_KEY_FILE": str(path)}, {"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}
    kms = kms_environment(make_key(server), server.endpoint)

    async def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
        return await run_here(environment | url, "keys", *arguments)

    # Processes are told of KMS one after the other, and the file goes on wrapping.
    running = source_of(file | kms)
    async with sessions.begin() as session:
        account = await make_account(session, Keyring(running))
    before = await lookup_key(sessions, source_of(file), account.id)
    assert running.current_id == "k1"

    refused = await run(file, "use", "kms")
    used = await run(file | kms, "use", "kms")
    rewrapped = await run(file | kms, "rewrap")
    status = await run(file | kms, "status")
    retired = await run(file | kms, "retire", "k1")
    async with sessions.begin() as session:
        second = await make_account(session, Keyring(running))

    assert (refused[0], "REPLYCO_KMS_KEY" in refused[1]) == (1, True)
    assert (used[0], rewrapped[0], status[0], retired[0]) == (0, 0, 0, 0)
    assert "k1: wraps 0, not needed any more" in status[1]
    assert f"{kms['REPLYCO_KMS_KEY']}: wraps 2, the current one, kept by AWS KMS" in status[1]
    # Without the file, as it is from then on.
    alone = source_of(kms)
    assert await lookup_key(sessions, alone, account.id) == before
    await lookup_key(sessions, alone, second.id)
    assert (await run(kms, "status"))[0] == 0
    rotate = await run(kms, "rotate")
    assert (rotate[0], "set REPLYCO_KMS_KEY to it" in rotate[1]) == (1, True)
    assert SECRET not in f"{refused}{used}{rewrapped}{status}{retired}{rotate}"
    for source in (running, alone):
        await source.close()


async def test_a_process_that_was_not_told_of_kms_says_what_it_needs(database: Database, tmp_path: Path):
    path = tmp_path / "account-keys.json"
    KeyFile.create(path)
    KeyFile.load(path).use_kms()

    with pytest.raises(KeyFileUnusable):
        source_of({"REPLYCO_KEY_FILE": str(path)})
    environment = {"REPLYCO_DATABASE_URL": database.url(CONNECTOR), "REPLYCO_KEY_FILE": str(path)}
    code, told = await run_here(environment, "keys", "status")

    assert (code, "REPLYCO_KMS_KEY" in told, "copy" in told) == (2, True, False)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "REPLYCO_KEY_FILE"),
        ({"REPLYCO_KMS_KEY": ARN}, "REPLYCO_KMS_ACCESS_KEY_ID"),
        ({"REPLYCO_KMS_KEY": "alias/replyco"}, "REPLYCO_KMS_KEY"),
        (kms_environment(ARN, "http://kms.example"), "REPLYCO_KMS_ENDPOINT"),
    ],
)
async def test_a_wrong_setting_is_named_with_its_cure(
    database: Database, environment: dict[str, str], named: str
):
    code, told = await run_here(
        environment | {"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}, "keys", "status"
    )

    assert code == 2
    assert f"  {named}: " in told
    assert SECRET not in told


async def test_a_command_says_that_kms_is_away(sessions: Sessions, database: Database, tmp_path: Path):
    path = tmp_path / "account-keys.json"
    KeyFile.create(path)
    async with sessions.begin() as session:
        await make_account(session, Keyring(KeyFile.load(path)))
    KeyFile.load(path).use_kms()
    environment = kms_environment(ARN, f"http://127.0.0.1:{free_port()}") | {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(path),
    }

    code, told = await run_here(environment, "keys", "rewrap")

    assert (code, "AWS KMS does not do what it is asked" in told, "ConnectError" in told) == (1, True, True)


async def test_client_secrets_that_were_read_stay_and_none_is_taken_for_the_newest_before(
    sessions: Sessions, server: S3
):
    kms = kms_of(make_key(server), server.endpoint)
    await store_client_secret(sessions, kms, "client", SecretStr("canary-new"), datetime.now(UTC))

    def secrets(provider: KeyProvider) -> ClientSecrets:
        return ClientSecrets(
            sessions, provider, "client", SecretStr("canary-ended"), registry=CollectorRegistry()
        )

    away = secrets(kms_of(kms.key_arn, f"http://127.0.0.1:{free_port()}"))
    read = secrets(kms)
    assert [each.get_secret_value() for each in await read.newest_first()] == ["canary-new", "canary-ended"]

    for _ in range(2):
        with pytest.raises(KeyServiceUnavailable):
            await away.newest_first()
    read._provider, read._read_at = away._provider, -1e9
    assert [each.get_secret_value() for each in await read.newest_first()] == ["canary-new", "canary-ended"]
    await kms.close()


async def test_what_an_authorization_has_come_to_waits_for_kms():
    refused = (400, b'{"__type": "DisabledException"}')
    async with scripted(refused, (200, b'{"Plaintext": "a2V5"}')) as script:
        kms = kms_of(ARN, script.endpoint)
        opened: list[bytes] = []

        async def write() -> None:
            opened.append(await kms.unwrap(ARN, b"wrapped", b"context"))

        await _until_written(write)
        await kms.close()

    assert opened == [b"key"]


class TestWhereKmsIsAway:
    @pytest.fixture
    def settings(self, settings: ConnectorSettings) -> ConnectorSettings:
        return settings.model_copy(
            update={
                "kms_key": ARN,
                "kms_access_key_id": "k",
                "kms_secret_access_key": settings.amazon_client_secret,
                "kms_endpoint": f"http://127.0.0.1:{free_port()}",
            }
        )

    async def test_what_has_to_be_opened_is_told_to_be_away_and_the_rest_works(
        self, signed_in: SignedIn, sessions: Sessions
    ):
        async with sessions.begin() as session:
            await session.execute(text("UPDATE account_keys SET wrapping_key_id = :arn"), {"arn": ARN})

        lists = await signed_in.client.get("/api/v1/integrations")
        opens = await signed_in.client.get("/api/v1/conversations")

        assert lists.status_code == 200
        assert opens.status_code == 503
        assert opens.json()["code"] == "key_service_unavailable"
