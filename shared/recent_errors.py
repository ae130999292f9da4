"""What a process logged last as a warning or an error: names of events, kinds of exceptions and codes. Nothing else of a line is kept."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

MOST: Final = 20
_LEVELS: Final = frozenset({"warning", "error", "critical"})


class RecentErrors:
    """The last kinds of failure, each with how often it came, from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str | None, str | None], dict[str, object]] = OrderedDict()

    def note(
        self, level: str, event: str, at: object, *, exception: str | None = None, code: str | None = None
    ) -> None:
        """Keep it if it is at least a warning; the one that came last the longest ago makes room."""
        if level not in _LEVELS:
            return
        key = (level, event, exception, code)
        with self._lock:
            known = self._kept.pop(key, {"first_at": at, "count": 0})
            count = known["count"]
            assert isinstance(count, int)
            self._kept[key] = {"first_at": known["first_at"], "last_at": at, "count": count + 1}
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def facts(self) -> list[Mapping[str, object]]:
        """The last one first."""
        with self._lock:
            kept = list(self._kept.items())
        return [
            {"event": event, "level": level, "exception": exception, "code": code, **times}
            for (level, event, exception, code), times in reversed(kept)
        ]
