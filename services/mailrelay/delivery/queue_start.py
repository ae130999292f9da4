"""Where in accepted mail the queue begins, so that a look at it does not touch each month that there ever was.

Nearly always all that waits came lately. Then a look needs the partitions of the last days alone, and the others are not even
planned. Mail of an older month can wait, too: its store was restored, an operator requeued it, the relay's clock was behind. While
there is any, due or not, the queue begins with the first mail (docs/adr/0023).
"""

import time
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

# Written into the statement, so that PostgreSQL keeps one plan that knows no older month. As a parameter it would be planned for each
# time, or one plan would lock every partition. There are two values a month.
SINCE: Final = bindparam("since", type_=Uuid(), literal_execute=True)
# What begins to wait in an older month is noticed after this at the latest.
_LOOK_SECONDS: Final = 30.0
_EVERYTHING: Final = UUID(int=0)
# The first of a month, because a partition is looked at as a whole or not at all. Eight days: until then a mail may be rechecked.
_LOOK: Final = text("""
    SELECT recent.start, EXISTS (SELECT FROM accepted_mail WHERE state = 'accepted' AND id < recent.start) AS is_older_waiting
    FROM uuid_at(date_trunc('month', now() - interval '8 days', 'UTC')) AS recent (start)
""")


class QueueStart:
    """The first id at which mail may wait. What begins to wait before it is noticed `look_seconds` later at the latest."""

    def __init__(self, *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._since = _EVERYTHING
        self._looks_at = -float("inf")

    async def find(self, session: AsyncSession) -> UUID:
        """The start as of the last look; where that is too long ago, PostgreSQL is asked."""
        now = time.monotonic()
        if now >= self._looks_at:
            found = (await session.execute(_LOOK)).one()
            self._since = _EVERYTHING if found.is_older_waiting else found.start
            self._looks_at = now + self._look_seconds
        return self._since
