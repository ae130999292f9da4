"""Users with second factors."""

from base64 import b32decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from services.connector.settings import ConnectorSettings
from shared.crypto.totp import STEP_SECONDS, code_at
from shared.database import Sessions
from shared.tables import Account, UserSession
from tests.authenticators import Authenticator
from tests.integration.connector.conftest import PASSWORD, SignedIn

API = "/api/v1"


@dataclass
class App:
    """An authenticator app. Each code that it shows is another one, and good for twenty seconds at least."""

    secret: bytes
    _step: int = 0

    def code(self) -> str:
        # The server takes a step's code, and those of the steps beside it. Its time may be seconds behind this one: of the step that
        # was ten seconds ago, which is taken for twenty more, and then of the next.
        this = int(datetime.now(UTC).timestamp() - 10) // STEP_SECONDS
        self._step = max(self._step + 1, this)
        assert self._step <= this + 1, "no further code is good now"
        return code_at(self.secret, datetime.fromtimestamp(self._step * STEP_SECONDS, UTC))


async def set_up_app(who: SignedIn) -> tuple[App, list[str]]:
    """An app of this user, and their recovery codes."""
    begun = await who.client.post(f"{API}/me/authenticator")
    assert begun.status_code == 201, begun.text
    app = App(b32decode(begun.json()["key"]))
    confirmed = await who.client.put(f"{API}/me/authenticator", json={"code": app.code()})
    assert confirmed.status_code == 200, confirmed.text
    return app, confirmed.json()["recovery_codes"]


async def add_passkey(who: SignedIn, device: Authenticator, *, name: str = "Telefon") -> httpx2.Response:
    options = (await who.client.post(f"{API}/me/passkeys/options")).json()["options"]
    body = {"name": name, "credential": device.create(options)}
    return await who.client.post(f"{API}/me/passkeys", json=body)


async def send_password(client: httpx2.AsyncClient, who: SignedIn) -> dict[str, Any]:
    """The second step that is left."""
    answer = await client.post(f"{API}/sessions", json={"email": who.user.email, "password": PASSWORD})
    assert answer.status_code == 202, answer.text
    step: dict[str, Any] = answer.json()
    return step


async def demand(sessions: Sessions, account: Account, of: str = "everybody") -> None:
    async with sessions.begin() as session:
        await session.execute(update(Account).where(Account.id == account.id).values(second_factor=of))


async def authenticated_long_ago(sessions: Sessions, who: SignedIn) -> None:
    async with sessions.begin() as session:
        await session.execute(
            update(UserSession)
            .where(UserSession.id == who.session_id)
            .values(authenticated_at=datetime.now(UTC) - timedelta(minutes=10, seconds=1))
        )


@pytest.fixture
def device(settings: ConnectorSettings) -> Authenticator:
    return Authenticator(origin=settings.public_url)
