"""What an agent has begun to write follows them from device to device, is nobody else's, and is never written over unseen."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from shared.tables import Conversation, EventRow, ReplyDraft
from tests.integration.connector.replies.conftest import TEXT


async def test_a_draft_is_kept_as_it_was_typed(client, thread):
    empty = await client.get(f"{thread.path}/draft")
    typed = " Guten Tag,\r\n\n\tIhre Lam "

    kept = await client.put(
        f"{thread.path}/draft", json={"text": typed}, headers={"If-Match": empty.headers["ETag"]}
    )

    assert empty.json() == {"text": "", "files": [], "version": 0, "updated_at": None}
    assert (kept.json()["text"], kept.json()["version"]) == (" Guten Tag,\n\n\tIhre Lam ", 1)
    assert (await client.get(f"{thread.path}/draft")).json() == kept.json()


async def test_two_devices_do_not_write_over_each_other(client, thread):
    begun = await client.put(f"{thread.path}/draft", json={"text": "Guten"})
    version = {"If-Match": begun.headers["ETag"]}
    await client.put(f"{thread.path}/draft", json={"text": "Guten Tag"}, headers=version)

    refused = await client.put(f"{thread.path}/draft", json={"text": "Hallo"}, headers=version)

    assert (refused.status_code, refused.json()["code"]) == (412, "draft_changed")
    assert refused.json()["draft"] == {"text": "Guten Tag", "version": 2}
    assert refused.headers["ETag"] == '"2"'


async def test_a_draft_that_was_sent_is_empty_and_no_older_one_comes_back(client, thread):
    begun = await client.put(f"{thread.path}/draft", json={"text": TEXT})
    await thread.reply(client)

    late = await client.put(
        f"{thread.path}/draft", json={"text": TEXT}, headers={"If-Match": begun.headers["ETag"]}
    )

    assert late.status_code == 412
    assert (await client.get(f"{thread.path}/draft")).json()["text"] == ""


async def test_a_draft_is_nobody_elses(client, sign_in_as, thread):
    await client.put(f"{thread.path}/draft", json={"text": TEXT})
    await thread.upload(client)
    colleague = await sign_in_as()

    theirs = (await colleague.client.get(f"{thread.path}/draft")).json()

    assert (theirs["text"], theirs["files"]) == ("", [])


async def test_what_is_discarded_is_gone_with_its_files(client, thread):
    await client.put(f"{thread.path}/draft", json={"text": TEXT})
    file = (await thread.upload(client)).json()

    gone = await client.delete(f"{thread.path}/draft")

    draft = (await client.get(f"{thread.path}/draft")).json()
    assert (gone.status_code, draft["text"], draft["files"]) == (204, "", [])
    assert (await client.get(f"/api/v1/files/{file['id']}")).status_code == 404


@pytest.mark.parametrize("words", ["a\x00b", "a" * 12_001], ids=["nul", "long"])
async def test_what_is_no_text_is_refused(client, thread, words: str):
    answer = await client.put(f"{thread.path}/draft", json={"text": words})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_colleagues_are_told_who_types_and_for_how_long(
    client, signed_in, sign_in_as, thread, sessions
):
    colleague = await sign_in_as()
    for _ in range(3):
        assert (await client.put(f"{thread.path}/typing")).status_code == 204
        await client.put(f"{thread.path}/draft", json={"text": TEXT})

    seen = (await colleague.client.get(thread.path)).json()["being_answered_by"]
    own = (await client.get(thread.path)).json()["being_answered_by"]
    async with sessions.begin() as session:
        events = (await session.execute(select(EventRow.kind, EventRow.ids))).all()
        await session.execute(update(ReplyDraft).values(typed_at=datetime.now(UTC) - timedelta(seconds=31)))
    later = (await colleague.client.get(thread.path)).json()["being_answered_by"]

    assert [(each["user_id"], each["name"]) for each in seen] == [
        (str(signed_in.user.id), signed_in.user.name)
    ]
    assert (own, later) == ([], [])
    # The first of them, and no more than one each five seconds.
    assert [tuple(each) for each in events] == [
        ("reply.typed", {"conversation_id": str(thread.conversation.id), "user_id": str(signed_in.user.id)})
    ]


async def test_who_has_sent_types_no_more(client, sign_in_as, thread):
    colleague = await sign_in_as()
    await client.put(f"{thread.path}/typing")
    await thread.reply(client)

    assert (await colleague.client.get(thread.path)).json()["being_answered_by"] == []


async def test_in_quarantine_nothing_is_begun(client, thread, owner_sessions):
    async with owner_sessions.begin() as session:
        await session.execute(update(Conversation).values(status="quarantine", answer_due_at=None))

    answers = [
        await client.put(f"{thread.path}/draft", json={"text": TEXT}),
        await client.put(f"{thread.path}/typing"),
        await thread.upload(client),
    ]

    assert [answer.json()["code"] for answer in answers] == ["conversation_in_quarantine"] * 3
