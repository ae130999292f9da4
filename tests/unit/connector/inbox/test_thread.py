import asyncio
import threading

from services.connector.inbox.thread import in_thread


async def test_what_takes_long_is_done_one_after_the_other_and_not_by_the_loop():
    """Several threads at work would each stand before the loop."""
    at_work, overlaps = threading.Lock(), 0

    def work() -> str:
        nonlocal overlaps
        free = at_work.acquire(blocking=False)
        overlaps += not free
        sum(range(20_000))
        if free:
            at_work.release()
        return threading.current_thread().name

    names = await asyncio.gather(*(in_thread(work) for _ in range(50)))

    assert overlaps == 0
    assert len(set(names)) == 1
    assert threading.current_thread().name not in names
