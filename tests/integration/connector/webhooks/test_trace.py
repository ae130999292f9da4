"""What `trace` tells of a mail's webhooks: of this mail alone, how it went, and nothing that the receiver or the account wrote."""

from uuid import UUID

from services.connector.operations.queries import read_way_of_mail
from services.connector.webhooks.delivery import WebhookSender
from shared.database import Sessions
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.keyring import Keyring
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.factories import (
    make_accepted_mail,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
)
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.webhooks.conftest import NewReceiver, create, send_webhooks


async def tell(sessions: Sessions, account_id: UUID, message_id: UUID) -> None:
    async with sessions.begin() as session:
        await announce(session, account_id, EventKind.MESSAGE_RECEIVED, message_id=message_id)


async def test_a_mail_is_followed_to_what_each_webhook_was_told_of_it(
    *,
    signed_in: SignedIn,
    new_receiver: NewReceiver,
    webhook_sender: WebhookSender,
    sessions: Sessions,
    owner_sessions: Sessions,
    keyring: Keyring,
    keys: Keys,
    database: Database,
):
    account_id = signed_in.account.id
    async with owner_sessions.begin() as session:
        store = await make_integration(session, account_id)
        address = await make_relay_address(session, store)
        mail, _ = await make_accepted_mail(session, address, keys.mail_public_key, state="delivered")
        message = await make_message(session, keyring, await make_conversation(session, keyring, store))
        message.accepted_mail_id = mail.id
    takes, fails = await new_receiver(), await new_receiver("503 canary-reason")
    for receiver in (takes, fails):
        await create(signed_in.client, receiver.url, "message.received")
    # One that is not told of messages, and an event of another message.
    await create(signed_in.client, takes.url, "integration.changed")
    await tell(sessions, account_id, message.id)
    await tell(sessions, account_id, new_id())
    await send_webhooks(webhook_sender)

    async with sessions.begin() as session:
        way = await read_way_of_mail(session, mail.id)
    code, output = await run_here(
        {"REPLYCO_DATABASE_URL": database.url("replyco_connector")}, "trace", str(mail.id)
    )

    told = [facts for step, facts in way if step == "webhook_delivery"]
    assert {(each["state"], each["attempts"], each["last_status"], each["last_error"]) for each in told} == {
        ("delivered", 1, 204, None),
        ("waiting", 1, 503, "status"),
    }
    assert len(told) == 2
    assert all(each["kind"] == "message.received" for each in told)
    assert code == 0, output
    assert output.count("webhook_delivery\n") == 2
    assert "503" in output
    for canary in ("canary", takes.url, "/replyco"):
        assert canary not in output
