"""What is known of an accepted mail."""

from deploy.demo.postgres import CONNECTOR
from services.connector.operations.queries import read_way_of_mail
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.status.queries import QUEUES
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.factories import (
    make_accepted_mail,
    make_account,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
    make_reply,
)


async def test_a_mail_is_followed_to_its_message_and_its_reply_and_an_unknown_one_is_not(
    sessions: Sessions, owner_sessions: Sessions, keyring: Keyring, keys: Keys
):
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring)
        store = await make_integration(session, account.id)
        address = await make_relay_address(session, store)
        waiting, _ = await make_accepted_mail(session, address, keys.mail_public_key)
        delivered, _ = await make_accepted_mail(session, address, keys.mail_public_key, state="delivered")
        conversation = await make_conversation(session, keyring, store)
        message = await make_message(session, keyring, conversation)
        message.accepted_mail_id = delivered.id
        reply = await make_reply(session, keyring, message)

    async with sessions.begin() as session:
        (accepted,) = await read_way_of_mail(session, waiting.id)
        way = await read_way_of_mail(session, delivered.id)
        unknown = await read_way_of_mail(session, new_id())

    assert (accepted[0], accepted[1]["state"], accepted[1]["size"]) == ("accepted", "accepted", waiting.size)
    assert [(step, facts.get("id")) for step, facts in way] == [
        ("accepted", None),
        ("message", message.id),
        ("reply", reply.id),
    ]
    assert way[1][1]["conversation_id"] == conversation.id
    assert unknown == []
    assert not {"subject", "sender_address", "peer_address", "raw"} & {
        name for _, facts in way for name in facts
    }


async def test_the_commands_say_an_unknown_id_and_what_waits(database: Database):
    settings = {"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}

    code, output = await run_here(settings, "trace", str(new_id()))
    assert (code, "No accepted mail has the id" in output) == (1, True), output
    code, output = await run_here(settings, "status")
    assert code == 0, output
    assert {line.split()[0] for line in output.splitlines()[1:]} == set(QUEUES)
