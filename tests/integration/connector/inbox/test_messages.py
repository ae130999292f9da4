"""A message, its attachments and its raw mail: opened for those who may, byte for byte, as downloads that run nowhere."""

import os
import re
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote

import httpx2
import pytest
from sqlalchemy import select, text

from services.connector.http.concurrency import ConcurrencyLimit
from services.connector.inbox.chunked_response import CHUNK_BYTES
from services.connector.inbox.limits import MAX_DOWNLOADS, MAX_SEARCHES, DownloadsBusy
from services.connector.inbox.pictures import MAX_PICTURE_BYTES
from shared.crypto.envelope import Place, Sealed
from shared.crypto.raw_mail import ContentKey
from shared.driver import new_id
from shared.tables import AcceptedMail, Attachment, AuditEntry, Message
from tests.factories import make_attachment, make_message
from tests.unit.connector.inbox.test_pictures import png

_MAIL = b"From: a@marketplace.amazon.de\r\nSubject: =?utf-8?q?L=C3=A4mpe?=\r\n\r\nbytes \x00\xff\xfe\r\n.\r\n"

_DUE = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
async def message(inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        return await make_message(
            session, keyring, inbox.conversation, text="Größe? 💡", html="<p>Größe?</p>"
        )


async def test_a_message_shows_what_was_understood(client, message, worker):
    await worker.attachment(message, filename="lampe.jpg", content=b"12345")

    answer = await client.get(f"/api/v1/messages/{message.id}")

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["text"] == "Größe? 💡"
    assert body["has_html"] is True
    assert "html" not in body
    assert body["sender_address"] == "k3x9example0abc@marketplace.amazon.de"
    assert body["problem"] is None
    assert [(a["filename"], a["content_type"], a["size"]) for a in body["attachments"]] == [
        ("lampe.jpg", "image/jpeg", 5)
    ]
    assert body["received_at"].endswith("Z")


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
async def test_an_attachment_comes_byte_for_byte(client, message, worker, size):
    content = os.urandom(size)
    path = await worker.attachment(message, content=content)

    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.content == content


@pytest.mark.parametrize(
    ("claimed", "sniffed", "answered"),
    [
        ("image/png", "image/png", "image/png"),
        ("image/jpg", "image/jpeg", "image/jpeg"),
        ("application/pdf", "application/pdf", "application/pdf"),
        ("Text/Plain; charset=utf-8", "text/plain", "text/plain"),
        ("image/png", "image/gif", "application/octet-stream"),
        ("image/png", "text/html", "application/octet-stream"),
        ("text/plain", "image/png", "application/octet-stream"),
        ("image/png", None, "application/octet-stream"),
        ("text/html", "text/html", "application/octet-stream"),
        ("image/svg+xml", "image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/xhtml+xml", "application/octet-stream"),
        ("text/plain\r\nSet-Cookie: x=1", "text/plain", "application/octet-stream"),
    ],
)
async def test_a_download_runs_nowhere(*, client, message, worker, claimed, sniffed, answered):
    path = await worker.attachment(
        message, content_type=claimed, sniffed_type=sniffed, content=b"<script>alert(1)</script>"
    )

    answer = await client.get(path)

    assert answer.headers["content-type"] == answered
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get_list("content-security-policy") == ["sandbox; default-src 'none'"]
    assert answer.headers["cache-control"] == "no-store, private"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "set-cookie" not in answer.headers


async def test_a_picture_is_shown_as_what_it_is(client, message, worker, sessions):
    content = png(40, 30)
    path = await worker.attachment(
        message, content=content, content_type="image/png", sniffed_type="image/png"
    )

    answer = await client.get(f"{path}/picture")

    assert (answer.status_code, answer.content) == (200, content), answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers.get_list("content-security-policy") == ["sandbox; default-src 'none'"]
    async with sessions.begin() as session:
        kinds = set(await session.scalars(text("SELECT kind FROM read_log")))
    assert kinds == {"conversation"}


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({"content": png(50_000, 50_000)}, 422, "picture_not_shown"),
        ({"content": b"<script>alert(1)</script>"}, 422, "picture_not_shown"),
        ({"sniffed_type": "image/svg+xml", "content_type": "image/svg+xml"}, 422, "picture_not_shown"),
        ({"content_type": "application/pdf"}, 422, "picture_not_shown"),
        ({"sniffed_type": None}, 422, "picture_not_shown"),
        ({"size": MAX_PICTURE_BYTES + 1}, 422, "picture_not_shown"),
        ({"scan": "infected"}, 409, "attachment_infected"),
    ],
    ids=["a bomb", "a page", "svg", "called otherwise", "never looked at", "many bytes", "infected"],
)
async def test_what_is_no_safe_picture_is_not_shown(*, client, message, worker, values, status, code):
    path = await worker.attachment(
        message,
        **{"content": png(4, 3), "content_type": "image/png", "sniffed_type": "image/png"} | values,
    )

    answer = await client.get(f"{path}/picture")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_what_the_scanner_has_found_is_listed_and_not_given_out(client, message, worker):
    path = await worker.attachment(message, scan="infected")

    answer = await client.get(path)
    listed = (await client.get(f"/api/v1/messages/{message.id}")).json()["attachments"]

    assert (answer.status_code, answer.json()["code"]) == (409, "attachment_infected")
    assert [attachment["scan"] for attachment in listed] == ["infected"]


@pytest.mark.parametrize("scan", ["clean", "failed"])
async def test_what_was_not_found_to_be_infected_is_given_out(client, message, worker, scan):
    path = await worker.attachment(message, scan=scan)

    assert (await client.get(path)).status_code == 200


async def test_a_message_shows_what_was_understood_beside_its_words(
    client, inbox, owner_sessions, keyring, worker
):
    async with owner_sessions.begin() as session:
        row = await make_message(
            session,
            keyring,
            inbox.conversation,
            quoted_text="> Wann kommt sie?",
            authentication_results="mx.example; dkim=pass",
            authenticity="forged",
            authenticity_reason="display_name",
            order_ids=["303-1234567-1234567", "303-7654321-7654321"],
            asin="B0EXAMPLE1",
            country="DE",
            language="de",
            failure_reason="sender_not_approved",
            is_excerpt=True,
            answer_due_at=_DUE,
        )
    await worker.attachment(row, content_id="lamp@example")

    body = (await client.get(f"/api/v1/messages/{row.id}")).json()
    [listed] = (await client.get(f"/api/v1/conversations/{inbox.conversation.id}/messages")).json()["items"]

    understood = {
        "quoted_text": "> Wann kommt sie?",
        "authenticity": {"verdict": "forged", "reason": "display_name", "sent_to": None},
        "order_ids": ["303-1234567-1234567", "303-7654321-7654321"],
        "asin": "B0EXAMPLE1",
        "country": "DE",
        "language": "de",
        "failure_reason": "sender_not_approved",
        "is_excerpt": True,
        "answer_due_at": "2026-11-24T09:00:00Z",
        "answer_settled_at": None,
    }
    assert {name: body[name] for name in understood} == understood
    assert body["authentication_results"] == "mx.example; dkim=pass"
    assert [(a["sniffed_type"], a["inline"], a["scan"]) for a in body["attachments"]] == [
        ("image/jpeg", True, None)
    ]
    # In the list is the same without what only the single message tells.
    assert listed == {name: value for name, value in body.items() if name != "authentication_results"}


async def test_a_hostile_name_arrives_clean(client, message, worker):
    path = await worker.attachment(message, filename='../..\\Größe"\u202egpj.exe\r\nX-Evil: 1')

    disposition = (await client.get(path)).headers["content-disposition"]
    listed = (await client.get(f"/api/v1/messages/{message.id}")).json()["attachments"][0]["filename"]

    name = re.fullmatch(r"attachment; filename=\"([^\"]+)\"; filename\*=UTF-8''(\S+)", disposition)
    assert name is not None, disposition
    assert unquote(name[2]) == listed == "Größe_gpj.exeX-Evil_ 1"


async def test_the_raw_mail_comes_byte_for_byte_and_is_written_down(signed_in, inbox, worker, owner_sessions):
    message = await worker.message(inbox, raw=_MAIL)

    answer = await signed_in.client.get(f"/api/v1/messages/{message.id}/raw")

    assert answer.status_code == 200, answer.text
    assert answer.content == _MAIL
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"] == f'attachment; filename="message-{message.id}.eml"'
    async with owner_sessions.begin() as session:
        entry = (await session.scalars(select(AuditEntry))).one()
    assert (entry.action, entry.actor_kind, entry.actor_id, entry.subject_id, entry.account_id) == (
        "message.raw_downloaded",
        "user",
        signed_in.user.id,
        message.id,
        inbox.account.id,
    )


async def test_a_large_raw_mail_comes_from_the_blob_store(app, client, inbox, worker, owner_sessions):
    message = await worker.message(inbox)
    before = await client.get(f"/api/v1/messages/{message.id}/raw")
    blobs = app.state.connector.blobs
    async with owner_sessions.begin() as session:
        mail = await session.get_one(AcceptedMail, message.accepted_mail_id)
        blob = await blobs.put(mail.id, mail.raw.ciphertext)
        mail.raw, mail.blob_key, mail.blob_digest = None, blob.key, blob.digest

    answer = await client.get(f"/api/v1/messages/{message.id}/raw")

    assert (answer.status_code, answer.content) == (200, before.content)

    await blobs.remove(blob.key)
    answer = await client.get(f"/api/v1/messages/{message.id}/raw")
    assert (answer.status_code, answer.json()["code"]) == (503, "blob_missing")


async def test_a_raw_mail_that_others_got_too_comes_from_the_blob_that_all_share(
    *, app, client, inbox, worker, keyring, owner_sessions
):
    message = await worker.message(inbox)
    blobs, blob_id = app.state.connector.blobs, new_id()
    keys = await keyring.of(owner_sessions, message.account_id)
    async with owner_sessions.begin() as session:
        mail = await session.get_one(AcceptedMail, message.accepted_mail_id)
        key = ContentKey.new(message.account_id, mail.id)
        blob = await blobs.put(blob_id, key.seal_shared(blob_id, _MAIL).ciphertext)
        mail.raw, mail.blob_key, mail.blob_digest = None, blob.key, blob.digest
        stored = await session.get_one(Message, message.id)
        stored.raw_key = keys.seal(Place("messages", "raw_key", message.id), key.key)

    answer = await client.get(f"/api/v1/messages/{message.id}/raw")

    assert (answer.status_code, answer.content) == (200, _MAIL)


async def test_a_raw_mail_that_does_not_open_is_not_written_down_as_taken(
    client, inbox, worker, owner_sessions
):
    message = await worker.message(inbox)
    async with owner_sessions.begin() as session:
        mail = await session.get_one(AcceptedMail, message.accepted_mail_id)
        mail.raw = Sealed(mail.raw.ciphertext[:-1] + bytes([mail.raw.ciphertext[-1] ^ 1]))

    answer = await client.get(f"/api/v1/messages/{message.id}/raw")

    assert (answer.status_code, answer.json()["code"]) == (500, "seal_broken")
    async with owner_sessions.begin() as session:
        assert (await session.scalars(select(AuditEntry))).all() == []


async def test_a_message_that_does_not_open_spoils_only_itself(client, inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        broken = await make_message(session, keyring, inbox.conversation)
        whole = await make_message(session, keyring, inbox.conversation, text="fine")
        # Moved from another row: the seal says so.
        broken.body_text = whole.body_text

    answer = await client.get(f"/api/v1/conversations/{inbox.conversation.id}/messages")

    assert answer.status_code == 200
    assert [(item["text"], item["problem"]) for item in answer.json()["items"]] == [
        ("fine", None),
        (None, "seal_broken"),
    ]
    assert answer.json()["items"][1]["subject"] == "Frage zur Lampe"


async def test_an_attachment_that_does_not_open_is_listed_and_its_download_says_why(
    client, message, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        attachment = await make_attachment(session, keyring, message)
        row = await session.get_one(Attachment, (attachment.id, message.id))
        row.filename = row.content = Sealed(b"\1" + b"x" * 60)

    listed = (await client.get(f"/api/v1/messages/{message.id}")).json()
    download = await client.get(f"/api/v1/messages/{message.id}/attachments/{attachment.id}")

    assert listed["attachments"][0]["filename"] == "attachment.bin"
    assert listed["problem"] == "seal_broken"
    assert (download.status_code, download.json()["code"]) == (500, "seal_broken")


async def test_another_accounts_ids_answer_404(client, foreign_inbox, message, worker):
    foreign = await worker.message(foreign_inbox)
    foreign_attachment = (await worker.attachment(foreign)).rpartition("/")[2]
    own_attachment = (await worker.attachment(message)).rpartition("/")[2]

    for path in (
        f"/conversations/{foreign_inbox.conversation.id}",
        f"/conversations/{foreign_inbox.conversation.id}/messages",
        f"/messages/{foreign.id}",
        f"/messages/{foreign.id}/raw",
        f"/messages/{foreign.id}/attachments/{foreign_attachment}",
        f"/messages/{message.id}/attachments/{foreign_attachment}",
        f"/messages/{foreign.id}/attachments/{own_attachment}",
        f"/messages/{new_id()}",
    ):
        answer = await client.get(f"/api/v1{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


async def test_who_may_not_read_messages_gets_none(sign_in_as, message, worker):
    path = await worker.attachment(message)
    admin = (await sign_in_as(general_admin="edit", inbox_messages="none")).client

    for address in ("/api/v1/conversations", f"/api/v1/messages/{message.id}", path):
        answer = await admin.get(address)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


async def test_the_raw_mail_is_for_admins(sign_in_as, message):
    agent = (await sign_in_as(general_admin="none", inbox_messages="edit")).client

    answer = await agent.get(f"/api/v1/messages/{message.id}/raw")

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


async def test_looking_up_a_raw_mail_touches_one_partition(owner_sessions):
    async with owner_sessions.begin() as session:
        plan = await session.execute(
            text(
                f"EXPLAIN SELECT raw FROM accepted_mail WHERE id = '{new_id()}' AND account_id = '{new_id()}'"
            )
        )
        lines = [row[0] for row in plan]

    assert sum(" on accepted_mail" in line for line in lines) == 1, lines


async def test_a_download_keeps_its_slot_until_it_has_left_and_waits_for_one(
    app, client, message, worker, monkeypatch
):
    content = b"0123456789" * 20_000
    path = await worker.attachment(message, content=content)
    downloads = ConcurrencyLimit(2, DownloadsBusy, wait_seconds=0.05)
    monkeypatch.setattr(app.state, "connector", replace(app.state.connector, downloads=downloads))
    sent = []

    async def watching(scope, receive, send):
        async def watched(part):
            sent.append((len(part.get("body", b"")), downloads.free))
            await send(part)

        await app(scope, receive, watched)

    transport = httpx2.ASGITransport(app=watching)
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://testserver", cookies=client.cookies
    ) as watched_client:
        answer = await watched_client.get(path)
        async with downloads.slot(message.account_id), downloads.slot(new_id()):
            busy = await watched_client.get(path)

    assert (answer.content, answer.headers["content-length"]) == (content, str(len(content)))
    rest = len(content) - 3 * CHUNK_BYTES
    assert sent[:5] == [(size, 1) for size in (0, CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES, rest)]
    assert (busy.status_code, busy.json()["code"]) == (503, "downloads_busy")
    assert downloads.free == 2


async def test_another_account_finds_a_slot_while_one_holds_all_that_it_may(
    app, client, message, worker, foreign_inbox
):
    path = await worker.attachment(message, content=b"lamp")
    state = app.state.connector
    greedy = foreign_inbox.integration.account_id
    async with AsyncExitStack() as held:
        for limit, most in ((state.downloads, MAX_DOWNLOADS), (state.searches, MAX_SEARCHES)):
            for _ in range(most // 2):
                await held.enter_async_context(limit.slot(greedy))

        downloads = [await client.get(path) for _ in range(10)]
        searches = [await client.post("/api/v1/conversations/search", json={"q": "lampe"}) for _ in range(10)]

    assert {answer.status_code for answer in (*downloads, *searches)} == {200}


async def test_a_download_that_ends_early_frees_its_slot(app, client, message, worker):
    path = await worker.attachment(message, content=b"0123456789" * 20_000)
    downloads = app.state.connector.downloads
    before, during = downloads.free, []

    async def stuck(scope, receive, send):
        async def lost(part):
            if part.get("body"):
                during.append(downloads.free)
                raise OSError("connection lost")
            await send(part)

        await app(scope, receive, lost)

    transport = httpx2.ASGITransport(app=stuck)
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://testserver", cookies=client.cookies
    ) as stuck_client:
        with suppress(OSError, AssertionError):  # what the transport says of an answer that has no end
            await stuck_client.get(path)

    assert during == [before - 1]
    assert downloads.free == before


async def test_a_large_attachment_comes_from_the_blob_store(client, app, message, owner_sessions, keyring):
    """Byte for byte; without its blob the answer says that it is missing, and the message is still read."""
    blobs = app.state.connector.blobs
    content = b"\xff\xd8\xff\xe0" + b"lamp" * 1000
    async with owner_sessions.begin() as session:
        attachment = await make_attachment(session, keyring, message, content=content)
        assert attachment.content is not None
        blob = await blobs.put(attachment.id, attachment.content.ciphertext)
        attachment.content, attachment.blob_key, attachment.blob_digest = None, blob.key, blob.digest
    path = f"/api/v1/messages/{message.id}/attachments/{attachment.id}"

    whole = await client.get(path)
    await blobs.remove(blob.key)
    missing = await client.get(path)

    assert whole.content == content
    assert (missing.status_code, missing.json()["code"]) == (503, "blob_missing")
    assert (await client.get(f"/api/v1/messages/{message.id}")).status_code == 200
