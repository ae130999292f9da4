"""The thread for what keeps the processor busy for long.

There is one, for the interpreter runs one thread at a time and passes over to another every five milliseconds: of eight that write large
documents, the thread that answers everybody waited for all of them.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

T = TypeVar("T")

_THREAD: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox")


async def in_thread(work: Callable[[], T]) -> T:
    """Do the work in the thread, after what others have asked for before."""
    in_context = partial(contextvars.copy_context().run, work)
    return await asyncio.get_running_loop().run_in_executor(_THREAD, in_context)
