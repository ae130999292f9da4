"""Every change of how somebody signs in leaves an entry in the audit log."""

from collections.abc import Awaitable, Callable

from shared.database import Sessions
from tests.authenticators import Authenticator
from tests.integration.connector.audit.test_every_change import count
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.second_factors.conftest import API, add_passkey, set_up_app


async def test_every_change_of_how_somebody_signs_in_leaves_an_entry(
    signed_in: SignedIn,
    sign_in_as: Callable[..., Awaitable[SignedIn]],
    sessions: Sessions,
    device: Authenticator,
):
    client, account_id = signed_in.client, signed_in.account.id
    added = await add_passkey(signed_in, device)
    assert added.status_code == 201, added.text
    passkey = f"{API}/me/passkeys/{added.json()['passkey']['id']}"
    await set_up_app(signed_in)
    assert await count(sessions, account_id) == 2
    for step in (
        client.patch(passkey, json={"name": "Schlüssel"}),
        client.post(f"{API}/me/recovery-codes"),
        client.delete(passkey),
        client.delete(f"{API}/me/authenticator"),
    ):
        before = await count(sessions, account_id)
        answer = await step

        assert answer.status_code < 300, answer.text
        assert await count(sessions, account_id) == before + 1, answer.request.url
