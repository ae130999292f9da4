"""How long an account keeps its data, as its administrators decide."""

from collections.abc import Mapping

from sqlalchemy import select, update

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from shared.database import Sessions
from shared.tables import Account


async def read(sessions: Sessions, caller: Caller) -> Account:
    """The caller's account."""
    async with sessions.begin() as session:
        return await session.get_one(Account, caller.account_id)


async def change(sessions: Sessions, caller: Caller, columns: Mapping[str, int | str | None]) -> Account:
    """Change these columns of the account. What is over then ends with the next purge."""
    async with sessions.begin() as session:
        account = await session.scalar(
            select(Account).where(Account.id == caller.account_id).with_for_update(key_share=True)
        )
        assert account is not None
        if columns:
            await session.execute(update(Account).where(Account.id == caller.account_id).values(**columns))
            await session.refresh(account)
        days = {
            "messages_kept_days": str(account.messages_kept_days),
            "longer_kept_days": str(account.longer_kept_days or 0),
        }
        session.add(audit_entry(caller, "retention_changed", caller.account_id, **days))
        return account
