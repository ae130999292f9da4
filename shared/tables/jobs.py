"""Work that waits for the connector's worker."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.tables.base import Base, now


class JobRow(Base):
    """A job: one row for each kind and subject, so that the same work never waits twice.

    `requests` counts how often it was asked for: a job that is asked for once more while it runs, runs once more. A worker that has
    claimed it holds a lease. A job that failed for good is held: `failure` is the kind of failure, never a text that may repeat a value.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("(lease_holder IS NULL) = (leased_until IS NULL)", name="lease"),
        CheckConstraint("(held_at IS NULL) = (failure IS NULL)", name="failure"),
        Index("ix_jobs_due", "kind", "due_at", postgresql_where=text("held_at IS NULL")),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(server_default=now)
    requests: Mapped[int] = mapped_column(server_default="1")
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease_holder: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    failure: Mapped[str | None]
