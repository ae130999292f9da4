"""Notes: written and read by colleagues, sealed, announced, never another account's."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from shared.tables import AuditEntry, EventRow, Note
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.inbox.conftest import Inbox, foreign_inbox, inbox

__all__ = ["foreign_inbox", "inbox"]

WORDS = "Die Käuferin hat zweimal angerufen.\n\tBitte zuerst."


def notes_of(inbox: Inbox) -> str:
    return f"/api/v1/conversations/{inbox.conversation.id}/notes"


async def test_a_note_is_read_by_colleagues_newest_first(client, signed_in, inbox):
    first = (await client.post(notes_of(inbox), json={"text": f"  {WORDS}\r\n"})).json()
    second = (await client.post(notes_of(inbox), json={"text": "Erledigt."})).json()

    page = (await client.get(notes_of(inbox))).json()

    assert page == {"items": [second, first], "next_cursor": None}
    assert first["text"] == WORDS
    assert first["written_by"] == {"id": str(signed_in.user.id), "name": signed_in.user.name}


async def test_pages_follow_each_other(client, inbox):
    for number in range(3):
        await client.post(notes_of(inbox), json={"text": f"{number}"})

    first = (await client.get(notes_of(inbox), params={"limit": 2})).json()
    second = (await client.get(notes_of(inbox), params={"limit": 2, "cursor": first["next_cursor"]})).json()

    assert [note["text"] for note in first["items"] + second["items"]] == ["2", "1", "0"]
    assert second["next_cursor"] is None


async def test_its_words_are_nowhere_but_sealed(client, inbox, sessions):
    await client.post(notes_of(inbox), json={"text": "Kanarienwort"})

    async with sessions.begin() as session:
        note = await session.scalar(select(Note))
        rows = [
            str(row)
            for table in ("notes", "events", "audit_log")
            for row in await session.execute(text(f"SELECT t::text FROM {table} t"))
        ]
        [action] = await session.scalars(select(AuditEntry.action))
        [kind] = await session.scalars(select(EventRow.kind))
    assert b"Kanarienwort" not in note.body_text.ciphertext
    assert not any("Kanarienwort" in row for row in rows)
    assert (action, kind) == ("note_written", "conversation.changed")


@pytest.mark.parametrize(
    "words", ["", "  \n ", "a\x00b", "\x1b[31m", "\ud800", "a" * 10_001], ids=["empty", "blank", "nul", "escape", "surrogate", "long"]
)  # fmt: skip
async def test_what_is_no_text_is_refused_and_nothing_is_stored(client, inbox, words: str):
    answer = await client.post(
        notes_of(inbox),
        content=b'{"text": "\\ud800"}' if words == "\ud800" else None,
        json=None if words == "\ud800" else {"text": words},
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code in {400, 422}
    assert (await client.get(notes_of(inbox))).json()["items"] == []


async def test_only_the_writer_or_an_administrator_deletes_it(
    inbox, sign_in_as: Callable[..., Awaitable[SignedIn]], api_key_client
):
    writer = await sign_in_as(general_admin="none")
    colleague = await sign_in_as(general_admin="view")
    program = await api_key_client(general_admin="none")
    admin = await sign_in_as()
    note: dict[str, Any] = (await writer.client.post(notes_of(inbox), json={"text": WORDS})).json()
    other: dict[str, Any] = (await writer.client.post(notes_of(inbox), json={"text": WORDS})).json()

    refused = [await each.delete(f"/api/v1/notes/{note['id']}") for each in (colleague.client, program)]
    own = await writer.client.delete(f"/api/v1/notes/{note['id']}")
    theirs = await admin.client.delete(f"/api/v1/notes/{other['id']}")

    assert [(each.status_code, each.json()["code"]) for each in refused] == [(403, "note_of_another")] * 2
    assert (own.status_code, theirs.status_code) == (204, 204)
    assert (await writer.client.delete(f"/api/v1/notes/{note['id']}")).status_code == 404


async def test_a_note_of_a_program_names_no_person(inbox, api_key_client):
    program = await api_key_client()

    note = (await program.post(notes_of(inbox), json={"text": WORDS})).json()

    assert note["written_by"] is None


async def test_another_accounts_notes_are_not_there(client, foreign_inbox, sign_in_as):
    them = await sign_in_as(of=foreign_inbox.account)
    note = (await them.client.post(notes_of(foreign_inbox), json={"text": WORDS})).json()

    answers = [
        await client.get(notes_of(foreign_inbox)),
        await client.post(notes_of(foreign_inbox), json={"text": WORDS}),
        await client.delete(f"/api/v1/notes/{note['id']}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert len((await them.client.get(notes_of(foreign_inbox))).json()["items"]) == 1
