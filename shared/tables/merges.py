"""What merging two conversations has moved and changed, so that it can be undone."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.tables.base import PLACE, Base, now, within_account

_IDS = ARRAY(Uuid)
_KEYS = ARRAY(LargeBinary)


class ConversationMerge(Base):
    """The source's messages went to the target. It ends with either of the two, and after the time in which it can be undone.

    `message_ids` are the source's, with what `placed_by` said of each; `merged_ids` are conversations that had been merged into the
    source. `source_orders` and `target_orders`: each order, and whether it was proven. `target_before`, `target_after`: columns of the
    target that merging changed. What the target was given of the source's buyer replaced `target_buyer_*`, which are sealed as they
    were in the target's row.
    """

    __tablename__ = "conversation_merges"
    __table_args__ = (
        within_account("source_id", "conversations", ondelete="CASCADE"),
        within_account("target_id", "conversations", ondelete="CASCADE"),
        Index("ix_conversation_merges_target", "target_id", text("id DESC")),
        Index("ix_conversation_merges_source", "source_id"),
        Index("ix_conversation_merges_merged_at", "merged_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    source_id: Mapped[UUID]
    target_id: Mapped[UUID]
    merged_by: Mapped[UUID]
    merged_at: Mapped[datetime] = mapped_column(server_default=now)
    undone_at: Mapped[datetime | None]
    message_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    placed_by: Mapped[list[UUID | None]] = mapped_column(_IDS)
    target_message_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    source_threads: Mapped[list[bytes]] = mapped_column(_KEYS)
    target_threads: Mapped[list[bytes]] = mapped_column(_KEYS)
    note_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    reply_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    file_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    draft_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    merged_ids: Mapped[list[UUID]] = mapped_column(_IDS)
    source_orders: Mapped[dict[str, bool]] = mapped_column(JSONB)
    target_orders: Mapped[dict[str, bool]] = mapped_column(JSONB)
    was_source_unread: Mapped[bool]
    target_before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    target_after: Mapped[dict[str, Any]] = mapped_column(JSONB)
    is_renamed: Mapped[bool] = mapped_column(server_default=text("false"))
    target_buyer_key: Mapped[bytes | None]
    target_buyer_name: Mapped[Sealed | None] = mapped_column(
        info={PLACE: ("conversations", "buyer_name", "target_id")}
    )
    target_buyer_address: Mapped[Sealed | None] = mapped_column(
        info={PLACE: ("conversations", "buyer_address", "target_id")}
    )
