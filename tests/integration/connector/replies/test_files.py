"""Files for buyers: what Amazon refuses is refused while it is chosen, the rest lies sealed until it is sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update

from services.connector.maintenance.jobs import HousekeepingMetrics, keep_house
from services.connector.replies.files_service import MOST_UNSENT_BYTES
from services.mailrelay.delivery.blob_sweeper import sweep
from services.mailrelay.delivery.metrics import DeliveryMetrics
from shared.blobs import FolderBlobs
from shared.tables import ReplyDraft, ReplyFile
from tests.factories import make_reply_file
from tests.integration.connector.replies.conftest import PDF, make_thread

MEGABYTE = 1024 * 1024
LARGE = PDF + bytes(MEGABYTE)


async def test_a_file_comes_back_byte_for_byte(client, thread):
    answer = await thread.upload(client, "Rechnung Müller.pdf")
    download = await client.get(f"/api/v1/files/{answer.json()['id']}")

    assert answer.status_code == 201
    assert answer.json() | {"id": None} == {
        "id": None,
        "filename": "Rechnung Müller.pdf",
        "content_type": "application/pdf",
        "size": len(PDF),
    }
    assert download.content == PDF
    assert download.headers["Content-Disposition"].startswith("attachment;")
    assert download.headers["Content-Type"] == "application/pdf"


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("..\\..\\C:\\Rechnung.pdf", "Rechnung.pdf"),
        ("/etc/Rechnung.pdf", "Rechnung.pdf"),
        ("Rech\u202efdp.exe\u202c.pdf", "Rechfdp.exe.pdf"),
        ("Rech\x00nung\r\n.pdf", "Rechnung.pdf"),
        ("請求書 🧾.pdf", "請求書 🧾.pdf"),
        ("e\u0301.pdf", "é.pdf"),
        ("a" * 900 + ".pdf", "a" * 196 + ".pdf"),
    ],
    ids=["windows", "path", "direction", "control", "unicode", "normal", "long"],
)
async def test_a_name_is_cleaned_and_keeps_its_letters(client, thread, given: str, cleaned: str):
    assert (await thread.upload(client, given)).json()["filename"] == cleaned


REFUSED = {
    "empty": ("a.pdf", b"", "file_empty"),
    "program": ("a.exe", b"MZ\x90", "file_type"),
    "no_ending": ("Rechnung", PDF, "file_type"),
    "html": ("a.html", b"<html>", "file_type"),
    "archive": ("a.zip", b"PK\x03\x04", "file_type"),
    "no_name": ("", PDF, "file_type"),
    "program_called_pdf": ("a.pdf", b"MZ\x90", "file_content"),
    "page_called_text": ("a.txt", b"<html><script>", "file_content"),
    "picture_called_jpeg": ("a.jpg", b"\x89PNG\r\n\x1a\n", "file_content"),
    "eleven_megabytes": ("a.pdf", b"%PDF-" + bytes(11 * MEGABYTE), "files_too_large"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
async def test_what_amazon_refuses_is_refused_at_once(client, thread, sessions, case: str):
    name, content, reason = REFUSED[case]

    answer = await thread.upload(client, name, content)

    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
        422,
        "files_refused",
        reason,
    )
    async with sessions.begin() as session:
        assert await session.scalar(select(ReplyFile.id)) is None


async def test_what_is_announced_as_far_too_large_is_not_read(client, thread):
    answer = await thread.upload(client, "a.pdf", bytes(21 * MEGABYTE))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_files_are_counted_together(client, thread):
    first = await thread.upload(client, "a.pdf", b"%PDF-" + bytes(6 * MEGABYTE))
    second = await thread.upload(client, "b.pdf", b"%PDF-" + bytes(6 * MEGABYTE))

    assert (first.status_code, second.status_code) == (201, 422)
    assert second.json()["reason"] == "files_too_large"


async def test_sixty_files_are_too_many(client, thread):
    answers = [await thread.upload(client, f"{number}.pdf") for number in range(60)]

    assert [answer.status_code for answer in answers] == [201] * 20 + [422] * 40
    assert answers[-1].json()["reason"] == "too_many_files"


async def test_what_a_user_has_not_sent_is_bounded_in_all_conversations_together(
    *, client, signed_in, thread, owner_sessions, keyring, account
):
    other = await make_thread(owner_sessions, keyring, account, integration=thread.integration)
    async with owner_sessions.begin() as session:
        file = await make_reply_file(session, keyring, other.conversation, uploaded_by=signed_in.user.id)
        file.size = MOST_UNSENT_BYTES

    refused = await thread.upload(client)
    await client.delete(f"/api/v1/files/{file.id}")

    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_unsent_files")
    assert (await thread.upload(client)).status_code == 201


async def test_only_whoever_chose_it_removes_it_and_only_unsent(client, sign_in_as, thread):
    colleague = await sign_in_as()
    file, sent = [(await thread.upload(client)).json()["id"] for _ in range(2)]
    await thread.reply(client, file_ids=[sent])

    answers = [
        await colleague.client.delete(f"/api/v1/files/{file}"),
        await client.delete(f"/api/v1/files/{sent}"),
        await client.delete(f"/api/v1/files/{file}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 204]
    # Whoever reads the conversation reads what was sent.
    assert (await colleague.client.get(f"/api/v1/files/{sent}")).content == PDF


async def test_another_accounts_file_is_not_there(client, sign_in_as, foreign_thread):
    them = await sign_in_as(of=foreign_thread.account)
    file = (await foreign_thread.upload(them.client)).json()["id"]

    assert (await client.get(f"/api/v1/files/{file}")).status_code == 404
    assert (await client.delete(f"/api/v1/files/{file}")).status_code == 404


async def test_what_the_scanner_has_found_is_neither_given_out_nor_sent(client, thread, sessions):
    file = (await thread.upload(client)).json()["id"]
    async with sessions.begin() as session:
        await session.execute(update(ReplyFile).values(scan="infected"))

    download = await client.get(f"/api/v1/files/{file}")
    reply = await thread.post(client, file_ids=[file])

    assert (download.status_code, download.json()["code"]) == (409, "attachment_infected")
    assert (reply.status_code, reply.json()["reason"]) == (422, "file_infected")


async def test_a_large_file_lies_in_the_blob_store_and_is_never_swept(
    *, client, thread, sessions, owner_sessions, keys
):
    kept, removed = [(await thread.upload(client, f"{n}.pdf", LARGE)).json()["id"] for n in range(2)]
    async with sessions.begin() as session:
        rows = {str(row.id): row for row in await session.scalars(select(ReplyFile))}
    blobs = FolderBlobs(keys.blob_folder)
    days = rows[kept].blob_key.partition("/")[0]

    await client.delete(f"/api/v1/files/{removed}")
    left = await blobs.list_day(days, after="", limit=1_000_000)
    await sweep(
        blobs, owner_sessions, DeliveryMetrics(CollectorRegistry()), now=datetime.now(UTC) + timedelta(days=3), from_day=days, confirm_seconds=0,
    )  # fmt: skip

    assert rows[kept].content is None
    assert (rows[kept].blob_key in left, rows[removed].blob_key in left) == (True, False)
    assert (await client.get(f"/api/v1/files/{kept}")).content == LARGE


async def test_a_large_file_that_is_refused_at_last_leaves_nothing(client, thread, keys):
    await thread.upload(client, "a.pdf", b"%PDF-" + bytes(6 * MEGABYTE))
    blobs = FolderBlobs(keys.blob_folder)
    before = {day: await blobs.list_day(day, after="", limit=1_000_000) for day in await blobs.days()}

    await thread.upload(client, "b.pdf", b"%PDF-" + bytes(6 * MEGABYTE))

    assert {day: await blobs.list_day(day, after="", limit=1_000_000) for day in await blobs.days()} == before


async def test_files_that_nobody_looks_after_are_removed_after_a_month(client, thread, sessions):
    looked_after = (await thread.upload(client)).json()["id"]
    await client.put(f"{thread.path}/draft", json={"text": ""})
    sent = (await thread.upload(client)).json()["id"]
    await thread.reply(client, file_ids=[sent])
    long_ago = datetime.now(UTC) - timedelta(days=31)

    async def keep() -> set[str]:
        async with sessions.begin() as session:
            await session.execute(update(ReplyFile).values(created_at=long_ago))
        await keep_house(sessions, datetime.now(UTC), HousekeepingMetrics(CollectorRegistry()))
        async with sessions.begin() as session:
            return {str(file_id) for file_id in await session.scalars(select(ReplyFile.id))}

    with_draft = await keep()
    async with sessions.begin() as session:
        await session.execute(update(ReplyDraft).values(updated_at=datetime.now(UTC) - timedelta(days=367)))
    await keep()
    without_draft = await keep()

    assert (with_draft, without_draft) == ({looked_after, sent}, {sent})


async def test_an_upload_that_ends_early_stores_nothing_and_is_no_bug(app, client, thread, sessions):
    request = client.build_request("POST", f"{thread.path}/files", params={"filename": "a.pdf"})
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not said_half:
            said_half.append(True)
            return {"type": "http.request", "body": PDF, "more_body": True}
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    said_half: list[bool] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": request.url.path,
        "raw_path": request.url.path.encode(),
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 443),
    }
    await app(scope, receive, send)

    assert said[0]["status"] == 400
    async with sessions.begin() as session:
        assert await session.scalar(select(ReplyFile.id)) is None
