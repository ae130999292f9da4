"""Routes: how long the account's data are kept."""

from services.connector.dependencies import AdminEditor, AdminViewer, SessionsDep
from services.connector.http.routers import api_router
from services.connector.privacy import retention_service
from services.connector.privacy.schemas import LongerKept, RetentionAnswer, RetentionRequest
from shared.tables import Account

router = api_router("accounts")

_PATH = "/account/retention"


@router.get(_PATH, summary="Read how long data are kept")
async def read_retention(caller: AdminViewer, sessions: SessionsDep) -> RetentionAnswer:
    """The account's own times. Amazon's rules set the others (docs/privacy.md)."""
    return _answer(await retention_service.read(sessions, caller))


@router.patch(_PATH, summary="Change how long data are kept")
async def change_retention(
    body: RetentionRequest, caller: AdminEditor, sessions: SessionsDep
) -> RetentionAnswer:
    """What is over by the new times is deleted for good within a night: a shorter time cannot be taken back."""
    given = body.model_fields_set
    columns: dict[str, int | str | None] = {}
    if "messages_kept_days" in given:
        columns["messages_kept_days"] = body.messages_kept_days
    if "longer_kept" in given:
        longer = body.longer_kept
        columns |= {
            "longer_kept_days": longer.days if longer else None,
            "longer_kept_reason": longer.reason if longer else None,
        }
    return _answer(await retention_service.change(sessions, caller, columns))


def _answer(account: Account) -> RetentionAnswer:
    longer = (
        LongerKept(days=account.longer_kept_days, reason=account.longer_kept_reason)
        if account.longer_kept_days is not None and account.longer_kept_reason is not None
        else None
    )
    return RetentionAnswer(messages_kept_days=account.messages_kept_days, longer_kept=longer)
