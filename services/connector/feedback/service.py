"""Use cases: count an answer, and read the counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.connector.http.language import Language
from services.connector.throttling.limits import PAGE_ANSWERS
from shared.database import Sessions
from shared.tables import HelpPage, PageFeedback

# Two years: long enough to see whether a better text helps more people.
_SHOWN_MONTHS: Final = 24
# As the metric says it.
_SAID: Final = {True: "yes", False: "no"}


class PageAnswers:
    """Where answers are counted. One a process."""

    def __init__(self, sessions: Sessions, registry: CollectorRegistry) -> None:
        self._sessions = sessions
        self._answers = Counter(
            "replyco_page_answers",
            "Answers to whether a page helped",
            ["page", "helpful"],
            registry=registry,
        )
        for page in HelpPage:
            for helpful in _SAID.values():
                self._answers.labels(page.value, helpful)

    async def count(
        self, page: HelpPage, language: Language, *, helpful: bool, client_address: str, now: datetime
    ) -> None:
        """Add one to the page's count of this month (UTC). Raises TooOften, by the network."""
        await PAGE_ANSWERS.require_from(self._sessions, client_address)
        column = PageFeedback.helpful if helpful else PageFeedback.not_helpful
        row = insert(PageFeedback).values(
            page=page, language=language, month=now.date().replace(day=1), **{column.key: 1}
        )
        async with self._sessions.begin() as session:
            await session.execute(
                row.on_conflict_do_update(
                    index_elements=[PageFeedback.page, PageFeedback.language, PageFeedback.month],
                    set_={column.key: column + 1},
                )
            )
        self._answers.labels(page.value, _SAID[helpful]).inc()


async def list_counts(sessions: Sessions) -> Sequence[PageFeedback]:
    """The newest month first, in it the pages that helped least."""
    share = PageFeedback.helpful * 100 / (PageFeedback.helpful + PageFeedback.not_helpful)
    query = (
        select(PageFeedback)
        .order_by(PageFeedback.month.desc(), share, PageFeedback.page, PageFeedback.language)
        .limit(_SHOWN_MONTHS * len(HelpPage) * len(Language))
    )
    async with sessions() as session:
        return (await session.scalars(query)).all()
