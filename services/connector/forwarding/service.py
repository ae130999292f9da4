"""Which mailboxes are forwarded to a store, as its administrators say, and the mail that waited for their word."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Select, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.forwarding.mailboxes import mailbox_address
from services.connector.integrations.row_locks import lock_row
from services.connector.problems.catalogue import NotFound
from shared.crypto.envelope import AccountKeys, Place, SealBroken
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.tables import ForwardedMailbox, Integration, Message

log = structlog.get_logger()

# A store has a few; each is a word that mail of others can be replayed with.
MAX_MAILBOXES: Final = 20
_BATCH: Final = 1_000


class TooManyMailboxes(Expected):
    """The store has as many confirmed mailboxes as it may have."""

    code = "too_many_forwarded_mailboxes"


@dataclass(frozen=True, slots=True)
class OpenedMailbox:
    """A confirmed mailbox to be read; without its address if that does not open."""

    row: ForwardedMailbox
    address: str | None


async def list_mailboxes(
    sessions: Sessions, keyring: Keyring, account_id: UUID, integration_id: UUID
) -> list[OpenedMailbox]:
    """The store's confirmed mailboxes, the oldest first. Raises NotFound."""
    keys = await keyring.of(sessions, account_id)
    async with sessions.begin() as session:
        store = select(Integration.id).where(
            Integration.id == integration_id,
            Integration.account_id == account_id,
            Integration.removed_at.is_(None),
        )
        if await session.scalar(store) is None:
            raise NotFound
        rows = await session.scalars(_of(account_id, integration_id).order_by(ForwardedMailbox.id))
        return [OpenedMailbox(row, _open(keys, row)) for row in rows]


async def confirm_mailbox(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    integration_id: UUID,
    entered: str,
    *,
    mail_domain: str,
    now: datetime,
) -> OpenedMailbox:
    """Let mail count that Amazon has sent to this mailbox, and what waited because of it. Twice is the same as once.

    Raises NotFound, MailboxInvalid, MailboxOurs, TooManyMailboxes.
    """
    address = mailbox_address(entered, mail_domain)
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        # Whoever stores a mail that names the mailbox has this lock, too: they see the confirmation, or the job sees their mail.
        await lock_row(session, caller.account_id, integration_id)
        key = keys.lookup_hash("mailbox", address)
        mailboxes = list(await session.scalars(_of(caller.account_id, integration_id)))
        for mailbox in mailboxes:
            if mailbox.address_key == key:
                return OpenedMailbox(mailbox, address)
        if len(mailboxes) >= MAX_MAILBOXES:
            raise TooManyMailboxes(limit=MAX_MAILBOXES)
        mailbox_id = new_id()
        mailbox = ForwardedMailbox(
            id=mailbox_id,
            account_id=caller.account_id,
            integration_id=integration_id,
            address=keys.seal_text(_place(mailbox_id), address),
            address_key=key,
            confirmed_at=now,
            confirmed_by=caller.person_id,
        )
        session.add(mailbox)
        session.add(
            audit_entry(caller, "forwarded_mailbox_confirmed", integration_id, mailbox=str(mailbox_id))
        )
        await enqueue(session, Job.RECHECK_MAIL_OF_MAILBOX, mailbox_id)
        await announce(
            session, caller.account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration_id
        )
        return OpenedMailbox(mailbox, address)


async def withdraw_mailbox(
    sessions: Sessions, caller: Caller, integration_id: UUID, mailbox_id: UUID
) -> None:
    """From now on mail to this mailbox waits again. What was shown stays. Raises NotFound."""
    async with sessions.begin() as session:
        await lock_row(session, caller.account_id, integration_id)
        gone = await session.scalar(
            delete(ForwardedMailbox)
            .where(
                ForwardedMailbox.id == mailbox_id,
                ForwardedMailbox.account_id == caller.account_id,
                ForwardedMailbox.integration_id == integration_id,
            )
            .returning(ForwardedMailbox.id)
        )
        if gone is None:
            raise NotFound
        session.add(
            audit_entry(caller, "forwarded_mailbox_withdrawn", integration_id, mailbox=str(mailbox_id))
        )
        await announce(
            session, caller.account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration_id
        )


async def recheck_mail_of_mailbox(sessions: Sessions, mailbox_id: UUID) -> int:
    """Let the mail workers check again what names this mailbox and waits; they release it, once. The answer says how many.

    In batches, so that no transaction is long; done twice, it asks for what still waits.
    """
    count, after = 0, UUID(int=0)
    while True:
        async with sessions.begin() as session:
            batch = await _waiting(session, mailbox_id, after)
            await session.execute(update(Message).where(Message.id.in_(batch)).values(recheck_at=func.now()))
        count += len(batch)
        if len(batch) < _BATCH:
            return count
        after = batch[-1]


async def _waiting(session: AsyncSession, mailbox_id: UUID, after: UUID) -> list[UUID]:
    mailbox = await session.get(ForwardedMailbox, mailbox_id)
    if mailbox is None:  # withdrawn meanwhile
        return []
    statement = (
        select(Message.id)
        .where(
            Message.integration_id == mailbox.integration_id,
            # As text, so that the partial index serves it.
            Message.authenticity == literal("misdirected", literal_execute=True),
            Message.sent_to_keys.contains([mailbox.address_key]),
            Message.id > after,
        )
        .order_by(Message.id)
        .limit(_BATCH)
    )
    return list(await session.scalars(statement))


def _of(account_id: UUID, integration_id: UUID) -> Select[ForwardedMailbox]:
    return select(ForwardedMailbox).where(
        ForwardedMailbox.account_id == account_id, ForwardedMailbox.integration_id == integration_id
    )


def _open(keys: AccountKeys, mailbox: ForwardedMailbox) -> str | None:
    try:
        return keys.open_text(_place(mailbox.id), mailbox.address)
    except SealBroken:
        # An operator's matter: a wrong key, or somebody has changed the row.
        log.exception("seal_broken", table="forwarded_mailboxes", row_id=str(mailbox.id))
        return None


def _place(mailbox_id: UUID) -> Place:
    return Place("forwarded_mailboxes", "address", mailbox_id)
