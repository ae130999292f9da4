"""Routes: mailboxes whose mail is forwarded to a store."""

from uuid import UUID

from services.connector.dependencies import (
    AdminEditor,
    AdminViewer,
    KeyringDep,
    Now,
    SessionsDep,
    SettingsDep,
)
from services.connector.forwarding import service
from services.connector.forwarding.schemas import (
    ForwardedMailboxAnswer,
    ForwardedMailboxList,
    ForwardedMailboxRequest,
)
from services.connector.http.routers import api_router

router = api_router("integrations")

_PATH = "/integrations/{integration_id}/forwarded-mailboxes"


@router.get(_PATH, summary="List the forwarded mailboxes")
async def list_forwarded_mailboxes(
    integration_id: UUID, caller: AdminViewer, sessions: SessionsDep, keyring: KeyringDep
) -> ForwardedMailboxList:
    """The mailboxes whose mail is forwarded to the store's address, as an administrator has confirmed."""
    found = await service.list_mailboxes(sessions, keyring, caller.account_id, integration_id)
    return ForwardedMailboxList(items=[_shown(mailbox) for mailbox in found])


@router.post(_PATH, status_code=201, summary="Confirm a forwarded mailbox")
async def confirm_forwarded_mailbox(
    *,
    integration_id: UUID,
    body: ForwardedMailboxRequest,
    caller: AdminEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    now: Now,
) -> ForwardedMailboxAnswer:
    """“Mail to this mailbox is forwarded here”: mail that Amazon has sent there counts for this store from now on.

    What waits in quarantine because it names this mailbox becomes ordinary messages within a minute. Twice is the same as once.
    """
    confirmed = await service.confirm_mailbox(
        sessions, keyring, caller, integration_id, body.address, mail_domain=settings.mail_domain, now=now
    )
    return _shown(confirmed)


@router.delete(_PATH + "/{mailbox_id}", status_code=204, summary="Withdraw a forwarded mailbox")
async def withdraw_forwarded_mailbox(
    integration_id: UUID, mailbox_id: UUID, caller: AdminEditor, sessions: SessionsDep
) -> None:
    """From now on mail that Amazon sends to it waits in quarantine again. What was shown stays."""
    await service.withdraw_mailbox(sessions, caller, integration_id, mailbox_id)


def _shown(mailbox: service.OpenedMailbox) -> ForwardedMailboxAnswer:
    return ForwardedMailboxAnswer(
        id=mailbox.row.id,
        address=mailbox.address,
        confirmed_at=mailbox.row.confirmed_at,
        confirmed_by=mailbox.row.confirmed_by,
    )
