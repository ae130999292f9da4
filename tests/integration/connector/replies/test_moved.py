"""What agents have written goes where the messages go that it is about."""

from deploy.demo.postgres import MAIL_WORKER
from shared import conversations
from shared.database import create_engine, create_sessions
from shared.tables import ReplyFile
from tests.factories import make_message, make_reply, make_reply_file
from tests.integration.connector.replies.conftest import TEXT, make_thread


async def test_merged_conversations_have_all_replies_notes_files_and_drafts(
    *, client, sign_in_as, owner_sessions, keyring, account, thread
):
    target = await make_thread(owner_sessions, keyring, account, integration=thread.integration)
    colleague = await sign_in_as()
    file = (await thread.upload(client)).json()["id"]
    reply = await thread.reply(client, file_ids=[file])
    await thread.upload(client, "b.pdf")
    await client.post(f"{thread.path}/notes", json={"text": "Eine Notiz"})
    await client.put(f"{thread.path}/draft", json={"text": "Von hier"})
    await client.put(f"{target.path}/draft", json={"text": "Von dort"})
    await colleague.client.put(f"{thread.path}/draft", json={"text": "Von mir"})

    merged = await client.post(f"{thread.path}/merge", json={"into": str(target.conversation.id)})

    assert merged.status_code == 200, merged.text
    assert merged.json()["last_reply_at"] == reply["created_at"]
    [moved] = await target.replies(client)
    assert (moved["id"], moved["conversation_id"]) == (reply["id"], str(target.conversation.id))
    assert (await client.get(f"/api/v1/files/{file}")).status_code == 200
    draft = (await client.get(f"{target.path}/draft")).json()
    assert draft["text"] == "Von dort\n\nVon hier"
    assert [each["filename"] for each in draft["files"]] == ["b.pdf"]
    assert (await colleague.client.get(f"{target.path}/draft")).json()["text"] == "Von mir"
    [note] = (await client.get(f"{target.path}/notes")).json()["items"]
    assert note["text"] == "Eine Notiz"
    late = await client.post(f"{thread.path}/replies", json={"text": TEXT}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["into"]) == (409, str(target.conversation.id))
    typed = await client.put(f"{thread.path}/typing")
    assert (typed.status_code, typed.json()["into"]) == (409, str(target.conversation.id))
    # The old address leads there.
    assert [each["id"] for each in await thread.replies(client)] == [reply["id"]]


async def test_split_off_messages_take_their_replies_with_them(
    client, owner_sessions, keyring, thread, sessions
):
    async with owner_sessions.begin() as session:
        newer = await make_message(session, keyring, thread.conversation, authenticity="authentic")
        stays = await make_reply(session, keyring, thread.message, state="confirmed")
        goes = await make_reply(session, keyring, newer, state="confirmed")
        file = await make_reply_file(session, keyring, thread.conversation, reply=goes)
    await client.put(f"{thread.path}/draft", json={"text": TEXT})

    split = (await client.post(f"{thread.path}/split", json={"message_ids": [str(newer.id)]})).json()

    of_split = (await client.get(f"/api/v1/conversations/{split['id']}/replies")).json()["items"]
    assert [each["id"] for each in of_split] == [str(goes.id)]
    assert [each["id"] for each in await thread.replies(client)] == [str(stays.id)]
    assert [each["id"] for each in of_split[0]["files"]] == [str(file.id)]
    assert (await client.get(f"{thread.path}/draft")).json()["text"] == TEXT
    async with sessions.begin() as session:
        stored = await session.get_one(ReplyFile, file.id)
    assert str(stored.conversation_id) == split["id"]


async def test_notes_go_with_a_mail_that_the_mail_worker_lets_out_of_quarantine(
    *, client, owner_sessions, keyring, account, thread, database
):
    held = await make_thread(
        owner_sessions, keyring, account, integration=thread.integration, status="quarantine", is_due=False
    )
    await client.post(f"{held.path}/notes", json={"text": "Echt, ich habe nachgefragt"})
    engine = create_engine(database.url(MAIL_WORKER), application_name="tests")

    async with create_sessions(engine).begin() as session:
        await conversations.lock(session, held.conversation.id, thread.conversation.id)
        await conversations.merge(session, held.conversation.id, thread.conversation.id)
    await engine.dispose()

    [note] = (await client.get(f"{thread.path}/notes")).json()["items"]
    assert note["text"] == "Echt, ich habe nachgefragt"
