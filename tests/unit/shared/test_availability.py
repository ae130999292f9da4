"""A dependency that goes away and comes back, as the log tells it."""

import asyncio

from structlog.testing import capture_logs

from shared.availability import Dependency


async def test_it_is_told_once_when_it_goes_and_once_when_it_is_back():
    blobs = Dependency("blobs", settled_seconds=0)
    with capture_logs() as logged:
        blobs.answers()
        blobs.is_away(code="SlowDown")
        blobs.is_away(code="SlowDown")
        blobs.answers()
        blobs.answers()
        # The loop's next step is the moment after which it is believed.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        blobs.answers()
        blobs.is_away(OSError())

    assert [line["event"] for line in logged] == ["blobs_unavailable", "blobs_back", "blobs_unavailable"]
    assert [line["log_level"] for line in logged] == ["warning", "info", "warning"]
    assert (logged[0]["code"], logged[1]["failures"]) == ("SlowDown", 2)


async def test_what_answers_now_and_then_is_still_away():
    database = Dependency("database", settled_seconds=60)
    with capture_logs() as logged:
        for _ in range(3):
            database.is_away()
            database.answers()

    assert [line["event"] for line in logged] == ["database_unavailable"]


def test_in_a_thread_without_a_loop_its_answer_is_believed_at_once():
    database = Dependency("database")
    with capture_logs() as logged:
        database.is_away()
        database.answers()

    assert [line["event"] for line in logged] == ["database_unavailable", "database_back"]
