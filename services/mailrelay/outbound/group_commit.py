"""What happens at the same time shares one transaction: whoever comes while one is under way joins the next.

With nothing under way a single one has its transaction at once, unless `linger` says for how many seconds others are to be waited for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shared.database import is_unavailable

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class GroupCommit(Generic[_Item, _Result]):
    """`write` stores items in one transaction, and answers with a result for each."""

    def __init__(
        self,
        write: Callable[[Sequence[_Item]], Awaitable[Sequence[_Result]]],
        *,
        most: int = 100,
        linger: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._write = write
        self._most = most
        self._linger = linger
        self._waiting: list[tuple[_Item, asyncio.Future[_Result]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def store(self, item: _Item) -> _Result:
        """Returns once it is committed. Raises what `write` raises; then it may be committed, or not."""
        stored: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, stored))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await stored

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                if seconds := self._linger():
                    await asyncio.sleep(seconds)
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._write_group(group)
        finally:
            self._writing = None

    async def _write_group(self, group: Sequence[tuple[_Item, "asyncio.Future[_Result]"]]) -> None:
        try:
            results = await self._write([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - whoever waits for it decides
            # Without a database there is none to blame, and each would wait for it after the other.
            if len(group) == 1 or is_unavailable(error):
                for _, stored in group:
                    _tell(stored, error=error)
                return
            # One of them may be to blame: each for itself.
            for one in group:
                await self._write_group([one])
            return
        for (_, stored), result in zip(group, results, strict=True):
            _tell(stored, result)


def _tell(
    stored: "asyncio.Future[_Result]", result: _Result | None = None, *, error: Exception | None = None
) -> None:
    if stored.done():  # whoever waited was cancelled
        return
    if error is not None:
        stored.set_exception(error)
    else:
        stored.set_result(result)  # type: ignore[arg-type]  # without an error there is one
