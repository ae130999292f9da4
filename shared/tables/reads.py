"""Who read what: conversations and orders that were opened, files and raw mails that were taken, searches."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.driver import new_id
from shared.tables.base import Base, now, one_of


class ReadKind(StrEnum):
    """What was read."""

    CONVERSATION = "conversation"
    ORDER = "order"
    FILE = "file"
    RAW_MAIL = "raw_mail"
    SEARCH = "search"


class ReadEntry(Base):
    """That somebody read something: ids and counts, never a content. No process may change a row; its month is dropped when all of it is
    older than twelve months.

    `subject_id` is the conversation or the order, None for a search; `part_id` the file in it, or the message whose raw mail was taken;
    `found` what a search has shown. Nothing refers to the account: each row would lock that of the account, and dropping a month would
    lock all accounts.
    """

    __tablename__ = "read_log"
    __table_args__ = (
        CheckConstraint("reader_kind IN ('user', 'api_key')", name="reader_kind"),
        one_of("kind", ReadKind),
        CheckConstraint("(kind = 'search') = (subject_id IS NULL)", name="subject_id"),
        CheckConstraint("(kind IN ('file', 'raw_mail')) = (part_id IS NOT NULL)", name="part_id"),
        CheckConstraint("(kind = 'search') = (found IS NOT NULL)", name="found"),
        Index("ix_read_log_account", "account_id", "id"),
        Index("ix_read_log_reader", "account_id", "reader_id", "id"),
        Index("ix_read_log_subject", "account_id", "subject_id", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=now)
    reader_kind: Mapped[str]
    reader_id: Mapped[UUID]
    kind: Mapped[str]
    subject_id: Mapped[UUID | None]
    part_id: Mapped[UUID | None]
    found: Mapped[int | None]
