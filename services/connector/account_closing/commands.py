"""What `accounts` does with an account that ends, for operators: close, reopen, erase."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from services.connector.account_closing import erasure, service
from services.connector.http.language import Language
from services.connector.problems.catalogue import describe
from shared.blobs import BlobsUnavailable, open_blobs
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.errors import Expected
from shared.logging import configure_logging
from shared.process import FAILED, give_up, settings_or_exit
from shared.settings import BlobSettings, CommonSettings

_Result = TypeVar("_Result")

AccountOption = Annotated[UUID, typer.Option("--account", help="The account's id (`accounts list`).")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask for the account's name.")]

# Nobody waits for one answer of an operator's command.
_STATEMENT_SECONDS = 300.0


class ErasureSettings(CommonSettings, BlobSettings):
    """What `accounts erase` needs."""


def close(account: AccountOption, *, yes: YesOption = False) -> None:
    """Close an account: nobody gets in, stores are disconnected, and after 30 days everything is erased."""
    settings = settings_or_exit(CommonSettings)
    _confirm(settings, account, yes=yes)

    async def run(sessions: Sessions) -> service.Closed:
        return await service.close_for_operator(sessions, account, await sessions.now())

    closed = _run(settings, run)
    print(f"closed; it may be reopened until {closed.erase_after:%Y-%m-%d %H:%M} UTC and is erased then")


def reopen(account: AccountOption) -> None:
    """Reopen a closed account within its 30 days. Its stores have to be restored and authorized again."""
    settings = settings_or_exit(CommonSettings)

    async def run(sessions: Sessions) -> None:
        await service.reopen(sessions, account, await sessions.now())

    _run(settings, run)
    print(
        "reopened: its people, API keys and webhooks are as before; its mail domains have to be proven again. Each store is restored by an admin (Integrations → disconnected stores) and"
        " authorized again; the mail that came meanwhile is delivered then."
    )


def erase(account: AccountOption, *, yes: YesOption = False) -> None:
    """Erase a closed account now, for good. May be broken off and run again; a worker does the same when the 30 days are over."""
    settings = settings_or_exit(ErasureSettings)
    configure_logging("connector-accounts", level=settings.log_level)
    blobs = open_blobs(settings)
    _confirm(settings, account, yes=yes)

    async def run(sessions: Sessions) -> erasure.Waiting | None:
        now = await sessions.agreed_now()
        await service.end_grace_period(sessions, account, now)
        return await erasure.erase(sessions, blobs, account, now)

    try:
        waiting = _run(settings, run)
    except BlobsUnavailable:
        give_up("The blob store does not answer. What is left is found again: run it once more.", code=FAILED)
    finally:
        blobs.close()
    if waiting is None:
        print("erased")
        return
    print(
        f"Its addresses accept no mail any more. What a relay accepted in the last moment has to have arrived: from"
        f" {waiting.until:%Y-%m-%d %H:%M} UTC on a worker erases the rest within the hour, or this command does."
    )


def _confirm(settings: CommonSettings, account: UUID, *, yes: bool) -> None:
    name = _run(settings, lambda sessions: service.name_of(sessions, account))
    if yes:
        return
    if not service.is_name(str(typer.prompt(f"Type the account's name, {name}")), name):
        give_up("That is not the account's name. Nothing was changed.", code=FAILED)


def _run(settings: CommonSettings, work: Callable[[Sessions], Awaitable[_Result]]) -> _Result:
    try:
        return run_with_database(settings, "connector-accounts", work, statement_seconds=_STATEMENT_SECONDS)
    except BlobsUnavailable:
        raise
    except Expected as refused:
        _, title, detail = describe(refused.code, Language.EN, refused.fields)
        give_up(f"{title}. {detail}", code=FAILED)
