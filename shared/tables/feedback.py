"""Whether pages helped: counts, and nothing of whoever answered."""

from datetime import date
from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.tables.base import Base, one_of


class HelpPage(StrEnum):
    """The pages that ask whether they helped: the guide, and each problem of connecting."""

    GUIDE = "guide"
    ATTEMPT_UNKNOWN = "attempt_unknown"
    ATTEMPT_EXPIRED = "attempt_expired"
    OTHER_BROWSER = "other_browser"
    SIGN_IN_AGAIN = "sign_in_again"
    CODE_MISSING = "code_missing"
    PERMISSION_MISSING = "permission_missing"
    UNKNOWN = "unknown"


class PageFeedback(Base):
    """How often a page helped and how often it did not, in the month that begins on `month` (UTC)."""

    __tablename__ = "page_feedback"
    __table_args__ = (
        one_of("page", HelpPage),
        CheckConstraint("language IN ('de', 'en')", name="language"),
    )

    page: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    helpful: Mapped[int] = mapped_column(server_default="0")
    not_helpful: Mapped[int] = mapped_column(server_default="0")
