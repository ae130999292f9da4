"""What the event loop of a process that accepts mail says of futures for which nobody waits."""

import asyncio
import gc

import asyncpg

from services.mailrelay.intake.journal import overlook_lost_copies


async def _fails(error: Exception) -> None:
    raise error


def test_a_copy_that_asyncpg_has_forgotten_is_overlooked_and_nothing_else():
    told: list[object] = []

    async def forget() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
        overlook_lost_copies()
        loop.create_future().set_exception(asyncpg.ConnectionDoesNotExistError("overlooked"))
        loop.create_future().set_exception(ValueError("a future"))
        task = asyncio.create_task(_fails(asyncpg.ConnectionDoesNotExistError("a task")))
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(forget())

    assert sorted(map(str, told)) == ["a future", "a task"]
