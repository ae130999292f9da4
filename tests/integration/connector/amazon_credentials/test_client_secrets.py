"""The client secrets that Amazon may take, newest first."""

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.connector.amazon_credentials.secrets import ClientSecrets, secret_context
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import new_id
from shared.tables import ApplicationSecret
from tests.conftest import Keys

CLIENT = "amzn1.application-oa2-client.test"


async def keep(
    sessions: Sessions, provider: KeyFile, secret: str, *, days: float, client: str = CLIENT
) -> None:
    secret_id = new_id()
    key_id, wrapped = await provider.wrap(secret.encode(), secret_context(secret_id, client))
    async with sessions.begin() as session:
        session.add(
            ApplicationSecret(
                id=secret_id,
                client_id=client,
                wrapping_key_id=key_id,
                wrapped=wrapped,
                expires_at=datetime.now(UTC) + timedelta(days=days),
            )
        )


async def test_secrets_of_a_rotation_come_before_those_of_the_settings(sessions: Sessions, keys: Keys):
    provider, registry = KeyFile.load(keys.key_file), CollectorRegistry()
    secrets = ClientSecrets(
        sessions, provider, CLIENT, SecretStr("current"), SecretStr("previous"), registry=registry
    )
    await keep(sessions, provider, "expired", days=-1)
    await keep(sessions, provider, "older", days=100)
    await keep(sessions, provider, "newest", days=179)
    await keep(sessions, provider, "of another application", days=180, client="amzn1.other")

    found = [secret.get_secret_value() for secret in await secrets.newest_first()]

    assert found == ["newest", "older", "current", "previous"]
    left = registry.get_sample_value("lwa_client_secret_expires_in_seconds")
    assert left is not None
    assert 178.9 < left / 86400 <= 179


async def test_without_a_database_the_settings_secrets_go_on(keys: Keys):
    nowhere = create_engine("postgresql://127.0.0.1:1/nowhere", application_name="tests")
    secrets = ClientSecrets(
        create_sessions(nowhere),
        KeyFile.load(keys.key_file),
        CLIENT,
        SecretStr("current"),
        None,
        registry=CollectorRegistry(),
    )

    assert [secret.get_secret_value() for secret in await secrets.newest_first()] == ["current"]


async def test_a_secret_moved_to_another_row_is_not_used(sessions: Sessions, keys: Keys):
    provider = KeyFile.load(keys.key_file)
    key_id, wrapped = await provider.wrap(b"moved", secret_context(new_id(), CLIENT))
    async with sessions.begin() as session:
        session.add(ApplicationSecret(client_id=CLIENT, wrapping_key_id=key_id, wrapped=wrapped))
    secrets = ClientSecrets(sessions, provider, CLIENT, SecretStr("current"), registry=CollectorRegistry())

    assert [secret.get_secret_value() for secret in await secrets.newest_first()] == ["current"]
