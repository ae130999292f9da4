"""Whether what is over may be destroyed now."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.tables.base import Base, now


class DeletionWatch(Base):
    """One row of the whole installation. `steady_since`: since then workers have looked at PostgreSQL's clock again and again, last at `seen_at`,
    and it has not jumped. `stopped_at`: since then nothing is destroyed, because an operator has said so.
    """

    __tablename__ = "deletion_watch"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    steady_since: Mapped[datetime] = mapped_column(server_default=now)
    seen_at: Mapped[datetime] = mapped_column(server_default=now)
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str | None]
    stop_reason: Mapped[str | None]
