"""Nothing is stored that a key wraps which is retired in that very moment: nobody could open it again."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from typing_extensions import override

from services.connector.amazon_credentials.service import store_client_secret
from services.connector.keys import service
from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import AccountKey, ApplicationSecret
from tests.factories import make_account


class SlowKeyFile(KeyFile):
    """What another operator does happens right after something is wrapped."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    @override
    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        wrapped = await super().wrap(key, context)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return wrapped


@pytest.fixture
def keys(sessions: Sessions, tmp_path: Path) -> SlowKeyFile:
    """A file whose first key another operator replaces and retires as soon as it has wrapped something."""
    path = tmp_path / "account-keys.json"
    KeyFile.create(path)
    slow = SlowKeyFile(path)
    operator = KeyFile.load(path)

    async def retire() -> None:
        retired = operator.current_id
        operator.add(use=True)
        await service.retire(sessions, operator, retired)

    slow.meanwhile = retire
    return slow


async def _store_secret(sessions: Sessions, keys: KeyFile) -> None:
    await store_client_secret(sessions, keys, "client", SecretStr("canary-secret"), datetime.now(UTC))


async def test_a_client_secret(sessions: Sessions, keys: SlowKeyFile):
    with pytest.raises(SealBroken):
        await _store_secret(sessions, keys)

    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(ApplicationSecret)) == 0
    await _store_secret(sessions, keys)


async def test_an_accounts_keys(sessions: Sessions, keys: SlowKeyFile):
    with pytest.raises(SealBroken):
        async with sessions.begin() as session:
            await make_account(session, Keyring(keys))

    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(AccountKey)) == 0


async def test_what_is_wrapped_anew_stays_as_it_was(sessions: Sessions, keys: SlowKeyFile):
    """One operator wraps anew while another one rotates once more."""
    retire, keys.meanwhile = keys.meanwhile, None
    await _store_secret(sessions, keys)
    keys.add(use=True)
    keys.meanwhile = retire

    with pytest.raises(SealBroken):
        await service.rewrap(sessions, keys, lambda _done, _total: None)

    async with sessions.begin() as session:
        secret = await session.scalar(select(ApplicationSecret))
    assert secret is not None
    assert keys.knows(secret.wrapping_key_id)
