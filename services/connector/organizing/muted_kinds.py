"""Kinds of Amazon's notices that arrive closed and read in an account: they are in the list, and nobody has to do anything."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from shared.database import Sessions
from shared.tables import MutableKind, MutedKind


async def list_muted(sessions: Sessions, account_id: UUID) -> Sequence[str]:
    """The kinds that are muted."""
    async with sessions.begin() as session:
        muted = select(MutedKind.kind).where(MutedKind.account_id == account_id).order_by(MutedKind.kind)
        return (await session.scalars(muted)).all()


async def mute(sessions: Sessions, caller: Caller, kind: MutableKind) -> None:
    """From now on mails of this kind arrive closed and read; what is there already stays as it is."""
    async with sessions.begin() as session:
        new = insert(MutedKind).values(account_id=caller.account_id, kind=kind.value)
        if await session.scalar(new.on_conflict_do_nothing().returning(MutedKind.kind)) is not None:
            session.add(audit_entry(caller, "kind.muted", caller.account_id, kind=kind.value))


async def unmute(sessions: Sessions, caller: Caller, kind: MutableKind) -> None:
    """From now on mails of this kind arrive as others do."""
    async with sessions.begin() as session:
        its_row = delete(MutedKind).where(
            MutedKind.account_id == caller.account_id, MutedKind.kind == kind.value
        )
        if await session.scalar(its_row.returning(MutedKind.kind)) is not None:
            session.add(audit_entry(caller, "kind.unmuted", caller.account_id, kind=kind.value))
