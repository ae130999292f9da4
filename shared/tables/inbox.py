"""How agents order the inbox: tags, saved views, muted kinds of notices, and changes that can be undone."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.driver import new_id
from shared.tables.base import Base, now, one_of, within_account


class MutableKind(StrEnum):
    """Kinds of Amazon's mails that may arrive closed and read. Buyers' messages and reports of failed replies never do."""

    ORDER_NOTICE = "order_notice"
    CLAIM_NOTICE = "claim_notice"
    RETURN_NOTICE = "return_notice"
    AUTO_REPLY = "auto_reply"


class Tag(Base):
    """A word of the account's by which agents order conversations (`Conversation.tag_ids`). `name_key`: its name as names are compared."""

    __tablename__ = "tags"
    __table_args__ = (
        UniqueConstraint("account_id", "name_key"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="name"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class SavedView(Base):
    """A person's own view of the inbox: a name, and the filters of the list as they are asked for. What is searched for is never in it."""

    __tablename__ = "saved_views"
    __table_args__ = (
        within_account("user_id", "users"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="name"),
        Index("ix_saved_views_user_id", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID]
    name: Mapped[str]
    filters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class MutedKind(Base):
    """A kind of Amazon's notices that arrives closed and read in this account."""

    __tablename__ = "muted_kinds"
    __table_args__ = (one_of("kind", MutableKind),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class ConversationsChange(Base):
    """What one action has changed of several conversations, so that it can be undone for some minutes.

    `parts`: for each conversation the changed columns before and after. `made_at` is the time of its transaction, and so that of the
    answer clocks that it has stopped.
    """

    __tablename__ = "conversations_changes"
    __table_args__ = (Index("ix_conversations_changes_made_at", "made_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    made_by: Mapped[UUID]
    made_at: Mapped[datetime] = mapped_column(server_default=now)
    undone_at: Mapped[datetime | None]
    parts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
