import asyncio
from typing import Any

from services.connector.inbox.chunked_response import CHUNK_BYTES, ChunkedResponse

_SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def _nothing():
    return {"type": "http.disconnect"}


async def test_each_chunk_leaves_after_the_one_before_was_taken():
    content = b"0123456789" * 20_000
    sent: list[dict[str, Any]] = []

    async def take(part):
        await asyncio.sleep(0)
        sent.append(part)

    await ChunkedResponse(content, headers={})(_SCOPE, _nothing, take)

    bodies = [part["body"] for part in sent[1:]]
    assert b"".join(bodies) == content
    assert [len(body) for body in bodies] == [CHUNK_BYTES] * 3 + [len(content) - 3 * CHUNK_BYTES]
    assert [part["more_body"] for part in sent[1:]] == [True, True, True, False]


async def test_an_empty_answer_has_an_end():
    sent: list[dict[str, Any]] = []

    async def take(part):
        sent.append(part)

    await ChunkedResponse(b"", headers={})(_SCOPE, _nothing, take)

    assert [part.get("more_body") for part in sent] == [None, False]


async def test_an_answer_that_nobody_takes_any_more_ends_without_its_last_chunk():
    sent: list[dict[str, Any]] = []

    async def take_one(part):
        if part["type"] == "http.response.body" and sent[1:]:
            await asyncio.Event().wait()
        sent.append(part)

    response = ChunkedResponse(b"x" * (2 * CHUNK_BYTES), headers={}, send_timeout_seconds=0.05)
    await response(_SCOPE, _nothing, take_one)

    assert [part.get("more_body") for part in sent] == [None, True]
