"""The bucket for large mail: what it says when the server does not do it, and what it never says."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from shared.blobs import Blob, BlobMissing, BlobsFull, BlobStore, BlobsUnavailable, open_blobs
from shared.blobs.bucket import BucketBlobs
from shared.driver import new_id
from shared.settings import BlobSettings, SettingsWrong, load_settings
from tests.s3 import SECRET, blob_settings, s3_server

BLOB = Blob("20260101/019b8000-0000-7000-8000-000000000000", b"")


@asynccontextmanager
async def answering(status: str, body: str) -> AsyncIterator[str]:
    """A server with one answer for everything; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def calls(blobs: BlobStore) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: blobs.put(new_id(), b"x"),
        lambda: blobs.get(BLOB),
        lambda: blobs.remove(BLOB.key),
        blobs.days,
        lambda: blobs.list_day("20260101", after="", limit=10),
    ]


async def test_a_missing_bucket_is_no_missing_blob():
    """A worker would take each mail for lost; they all wait for the bucket."""
    with s3_server() as server:
        for call in calls(open_blobs(blob_settings(server.endpoint, "no-such-bucket"))):
            with pytest.raises(BlobsUnavailable):
                await call()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("403 Forbidden", "AccessDenied", BlobsUnavailable),
        ("403 Forbidden", "QuotaExceeded", BlobsFull),
        ("404 Not Found", "NoSuchBucket", BlobsUnavailable),
        ("404 Not Found", "NoSuchKey", BlobMissing),
        ("500 Internal Server Error", "InternalError", BlobsUnavailable),
        ("507 Insufficient Storage", "XMinioStorageFull", BlobsFull),
    ],
)
async def test_of_an_answer_only_its_code_is_logged_and_kept(
    status: str, code: str, expected: type[Exception]
):
    body = f"<Error><Code>{code}</Code><Key>canary</Key><Message>canary</Message></Error>"
    async with answering(status, body) as endpoint:
        blobs = open_blobs(blob_settings(endpoint, "bucket-canary"))
        with capture_logs() as logs, pytest.raises(expected) as raised:
            await blobs.get(BLOB)

    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert "canary" not in str(raised.value)
    logged = (
        []
        if expected is BlobMissing
        else [{"event": "blobs_unavailable", "code": code, "log_level": "warning"}]
    )
    assert logs == logged


async def test_a_server_that_hangs_is_given_up_in_time():
    hanging: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: hanging.append(writer), "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    blobs = BucketBlobs("bucket", "", blob_settings(endpoint, "bucket"), timeout_seconds=0.3)
    for call in calls(blobs):
        began = time.monotonic()
        with pytest.raises(BlobsUnavailable):
            await call()
        assert time.monotonic() - began < 15

    for writer in hanging:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_server_that_is_away_takes_no_longer():
    async with answering("200 OK", "") as endpoint:
        pass
    began = time.monotonic()
    for call in calls(open_blobs(blob_settings(endpoint, "bucket"))):
        with pytest.raises(BlobsUnavailable):
            await call()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "url", ["s3://", "s3://B", "s3://bucket/../other", "s3://bucket?x=1", "http://host/bucket"]
)
def test_a_malformed_address_stops_the_start(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("REPLYCO_BLOB_URL", url)
    with pytest.raises(SettingsWrong, match=r"REPLYCO_BLOB_URL: .* Set it to .*s3://bucket/prefix"):
        load_settings(BlobSettings)


def test_a_bucket_without_its_settings_stops_the_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_BLOB_URL", "s3://bucket/prefix")
    with pytest.raises(SettingsWrong) as wrong:
        load_settings(BlobSettings)
    for name in ("BLOB_REGION", "BLOB_ACCESS_KEY_ID", "BLOB_SECRET_ACCESS_KEY"):
        assert f"REPLYCO_{name}: " in str(wrong.value)

    monkeypatch.setenv("REPLYCO_BLOB_REGION", "eu-central-1")
    monkeypatch.setenv("REPLYCO_BLOB_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("REPLYCO_BLOB_SECRET_ACCESS_KEY", SECRET)
    settings = load_settings(BlobSettings)
    assert SECRET not in repr(settings)
    open_blobs(settings).close()
