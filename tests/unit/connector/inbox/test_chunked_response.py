import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.inbox.chunked_response import CHUNK_BYTES, PACE, ChunkedResponse, Pace, PaceWatch

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

    response = ChunkedResponse(b"x" * (2 * CHUNK_BYTES), headers={}, pace=Pace(0.05, CHUNK_BYTES))
    await response(_SCOPE, _nothing, take_one)

    assert [part.get("more_body") for part in sent] == [None, True]


# What lies in buffers between us and a reader makes room in steps that are no larger (test_slow_readers.py).
_STEP_BYTES = 224 * 1024


@given(
    rate=st.integers(2 * 1024, 200 * 1024),
    size=st.integers(1, 4 * 1024 * 1024),
    step=st.integers(4 * 1024, _STEP_BYTES),
)
def test_who_reads_two_kilobytes_a_second_is_never_cut_off(rate: int, size: int, step: int):
    """The reader's bytes are seen when a buffer has room again: late, and many at once."""
    watch = PaceWatch(PACE, started=0.0)
    seen = 0
    while seen < size:
        at = min(seen + step, size) / rate
        assert at < watch.deadline
        for begin in range(seen, min(seen + step, size), CHUNK_BYTES):
            watch.took(min(CHUNK_BYTES, seen + step - begin, size - begin), at)
        seen += step


@given(rate=st.integers(1, 900), size=st.integers(4 * 1024 * 1024, 40 * 1024 * 1024))
def test_who_reads_less_than_a_kilobyte_a_second_is_cut_off(rate: int, size: int):
    watch = PaceWatch(PACE, started=0.0)
    buffered = 4 * _STEP_BYTES
    for number in range(buffered // CHUNK_BYTES):
        watch.took(CHUNK_BYTES, at=0.01 * number)
    taken, at = 0, 0.0
    while at < watch.deadline:
        taken += CHUNK_BYTES
        at = taken / rate
        if at < watch.deadline:
            watch.took(CHUNK_BYTES, at)
    assert taken < size / 4


@pytest.mark.parametrize("pauses", [[230], [150, 80], [10, 230, 230]])
def test_a_pause_is_no_end(pauses: list[float]):
    watch, at = PaceWatch(PACE, started=0.0), 0.0
    for pause in pauses:
        at += pause
        assert at < watch.deadline
        watch.took(PACE.least_bytes, at)
