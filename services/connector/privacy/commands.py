"""The `privacy` commands: what is over is told and ended, and a buyer's data are exported and erased."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar
from uuid import UUID

import typer

from services.connector.privacy import buyers, deletion_watch
from services.connector.privacy.accounts import is_account, only_account
from services.connector.privacy.deletion_watch import Planned, Watch
from services.connector.privacy.over import RULES_OF, Ending
from services.connector.privacy.purge_service import Due, PurgeIncomplete, due
from services.connector.privacy.purge_service import purge as purge_all
from services.connector.privacy.rules import load_rules, rules_page
from services.connector.settings import RetentionSettings
from shared.blobs import BlobStore, BlobsUnavailable, open_blobs
from shared.crypto.envelope import AccountKeys, SealBroken
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.key_source import KeySource
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.keyring import Keyring
from shared.logging import configure_logging
from shared.process import FAILED, give_up, key_file_cure, operator_name, settings_or_exit
from shared.settings import BlobSettings, CommonSettings, KeySourceSettings

privacy = typer.Typer(
    help="Personal data: what is over and when, the purge, and what is stored of one buyer. Processes may run meanwhile.",
    no_args_is_help=True,
)

_Result = TypeVar("_Result")

# Nobody waits for one answer of an operator's command.
_STATEMENT_SECONDS: Final = 300.0
_FROM_INPUT: Final = "-"

AccountOption = Annotated[
    UUID | None, typer.Option("--account", help="The account's id; all, if it is left out.")
]
OneAccountOption = Annotated[
    UUID | None, typer.Option("--account", help="The account's id. May be left out where there is only one.")
]
BuyerOption = Annotated[
    str,
    typer.Option(
        help="The buyer's address at Amazon, or the number of an order. Left out, or as -, it is asked for, or read from standard input:"
        " what stands in a command others on this machine can see."
    ),
]


class PurgeSettings(CommonSettings, BlobSettings, RetentionSettings):
    """What the commands need that end data."""


class BuyerSettings(PurgeSettings, KeySourceSettings):
    """What the commands need that open data."""


@privacy.command()
def rules() -> None:
    """Print the page of all rules (Markdown): what is stored, and how long."""
    print(rules_page(load_rules()), end="")


@privacy.command()
def report(account: AccountOption = None) -> None:
    """Say what is over and not gone yet, by kind, and since when the oldest."""
    settings = settings_or_exit(PurgeSettings)
    _print_due(_with_database(settings, lambda sessions: _due(sessions, settings, account)))


@privacy.command()
def purge(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would end.")] = False,
    account: AccountOption = None,
) -> None:
    """End whatever is over, now. May be broken off and run again; a worker does the same every night."""
    settings = settings_or_exit(PurgeSettings)
    if dry_run:
        _print_due(_with_database(settings, lambda sessions: _due(sessions, settings, account)))
        print("Nothing was changed.")
        return
    configure_logging("connector-privacy", level=settings.log_level)
    blobs = open_blobs(settings)

    async def run(sessions: Sessions) -> Mapping[Ending, int]:
        await _refuse_unknown(sessions, account)
        if (await deletion_watch.read(sessions)).stopped_at is not None:
            give_up(
                "Deletion is stopped. `privacy planned` says by whom and why; `privacy resume` lets it go on.",
                code=FAILED,
            )
        return await purge_all(
            sessions,
            blobs,
            await sessions.agreed_now(),
            messages_end_with_orders=settings.messages_end_with_orders,
            account_id=account,
        )

    try:
        _print_ended(_with_database(settings, run))
    except PurgeIncomplete as incomplete:
        _print_ended(incomplete.ended)
        give_up(
            f"{incomplete.failed} steps failed; the lines above say which. What is left is found again: run it once more.",
            code=FAILED,
        )
    finally:
        blobs.close()


@privacy.command()
def planned(
    days: Annotated[int, typer.Option(min=1, max=366, help="How far to look ahead.")] = 2,
) -> None:
    """Say what is destroyed for good in the next days, when and why, and whether something holds it back."""
    settings = settings_or_exit(PurgeSettings)

    async def run(sessions: Sessions) -> tuple[Watch, datetime, list[Planned], Mapping[Ending, Due]]:
        watch = await deletion_watch.read(sessions)
        until = watch.now + timedelta(days=days)
        over = await due(sessions, until, messages_end_with_orders=settings.messages_end_with_orders)
        return watch, until, await deletion_watch.planned(sessions, until), over

    watch, until, ends, over = _with_database(settings, run)
    print(f"PostgreSQL says that it is {_minute(watch.now)}. {_state_of(watch)}")
    print(f"Destroyed for good until {_minute(until)}:")
    for end in ends:
        print(f"{_minute(end.at)}  {end.what} ({end.why})")
    if len(ends) >= deletion_watch.MOST_LISTED:
        print(f"Of stores, and of accounts, these are the first {deletion_watch.MOST_LISTED}.")
    for ending, each in over.items():
        if each.count:
            print(f"by the nightly purge  {each.count} {ending} (rule {RULES_OF[ending]})")
    if not ends and not any(each.count for each in over.values()):
        print("nothing")


@privacy.command()
def stop(
    reason: Annotated[str | None, typer.Option(help="For other operators; no seller sees it.")] = None,
) -> None:
    """Destroy nothing any more because its time is over, in no process: no purge, no erasure of what has ended, no address retired."""
    settings = settings_or_exit(CommonSettings)
    by = operator_name()
    run_with_database(
        settings, "connector-privacy", lambda sessions: deletion_watch.stop(sessions, by=by, reason=reason)
    )
    print(
        "Stopped within seconds; the account, store or step under way ends. Deadlines go on: `privacy resume` as soon as the time is right again."
    )


@privacy.command()
def resume() -> None:
    """Let what is over be destroyed again."""
    settings = settings_or_exit(CommonSettings)
    was_stopped = run_with_database(settings, "connector-privacy", deletion_watch.resume)
    print("Deletion goes on within minutes." if was_stopped else "It was not stopped.")


@privacy.command()
def export(buyer: BuyerOption = _FROM_INPUT, account: OneAccountOption = None) -> None:
    """Write what is stored of a buyer to standard output, as JSON. The audit log notes it, without the buyer."""
    name = _buyer(buyer)

    async def run(sessions: Sessions, keys: AccountKeys, blobs: BlobStore) -> buyers.Found:
        found = await buyers.find(sessions, keys, name)
        async for part in buyers.export(sessions, blobs, keys, found):
            sys.stdout.write(part)
        return found

    found = _of_buyer(account, run)
    print(f"{_counts(found)} are written.", file=sys.stderr)


@privacy.command()
def erase(
    buyer: BuyerOption = _FROM_INPUT,
    account: OneAccountOption = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase what is stored of a buyer, for good. The audit log notes it, without the buyer."""
    name = _buyer(buyer)

    async def run(sessions: Sessions, keys: AccountKeys, blobs: BlobStore) -> buyers.Found:
        now = await sessions.now()
        found = await buyers.find(sessions, keys, name)
        if not (found.conversations or found.orders):
            return found
        if not yes:
            typer.confirm(f"{_counts(found)}. Erase what is personal in them?", abort=True)
        await buyers.erase(sessions, blobs, keys, found, now)
        return found

    found = _of_buyer(account, run)
    if not (found.conversations or found.orders):
        print("Nothing is stored of this buyer.")
        return
    print(
        f"Erased: {len(found.conversations)} conversations with messages, files, replies, notes, drafts, raw mail and what they are "
        f"found by; what is personal in {len(found.orders)} orders, which is not stored again."
    )
    print(
        "What stays: amounts, items and numbers of orders, for the seller's accounts, until their own end; an entry in the audit log, of "
        "counts alone; a mail that came twice, sealed and shown nowhere, until the account's mail ends; answers that are kept for a day for requests "
        "that are repeated; backups until they end. What comes "
        "of this buyer from now on is new. What the seller's own programs and Amazon keep is theirs to erase."
    )


def _state_of(watch: Watch) -> str:
    if watch.stopped_at is not None:
        by, reason = watch.stopped_by or "unknown", watch.stop_reason or "none was given"
        return f"Deletion is stopped since {_minute(watch.stopped_at)} by {by}. Reason: {reason}. `privacy resume` lets it go on."
    waits_until = watch.waits_until
    if waits_until is None:
        return "Deletion goes on; `privacy stop` stops it."
    return (
        f"Deletion waits until {_minute(waits_until)}: at {_minute(watch.steady_since)} that clock jumped, or no worker had run for hours. If the "
        "time is wrong, `privacy stop` stops deletion until it is right."
    )


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


async def _refuse_unknown(sessions: Sessions, account: UUID | None) -> None:
    """Nothing is over in an account that is none: that would say more than is known."""
    if account is not None and not await is_account(sessions, account):
        give_up("There is no such account.", code=FAILED)


async def _due(sessions: Sessions, settings: PurgeSettings, account: UUID | None) -> Mapping[Ending, Due]:
    await _refuse_unknown(sessions, account)
    return await due(
        sessions,
        await sessions.now(),
        messages_end_with_orders=settings.messages_end_with_orders,
        account_id=account,
    )


def _print_due(found: Mapping[Ending, Due]) -> None:
    print("Over, and not gone yet:")
    for ending, each in found.items():
        since = f", the oldest since {each.oldest:%Y-%m-%d %H:%M} UTC" if each.oldest else ""
        print(f"  {ending}: {each.count}{since}")


def _print_ended(ended: Mapping[Ending, int]) -> None:
    print("Ended:" if ended else "Nothing was over.")
    for ending, count in sorted(ended.items()):
        print(f"  {ending}: {count}")


def _counts(found: buyers.Found) -> str:
    return f"{len(found.conversations)} conversations and {len(found.orders)} orders"


def _buyer(given: str) -> str:
    if given == _FROM_INPUT:
        given = (
            str(typer.prompt("Address or order number", err=True))
            if sys.stdin.isatty()
            else sys.stdin.readline()
        )
    elif "@" in given:
        print(
            "Others on this machine can see an address that stands in a command: better leave it out.",
            file=sys.stderr,
        )
    name = given.strip()
    if not name or len(name) > 320:
        give_up("Name a buyer: the address at Amazon, or the number of an order.")
    return name


def _of_buyer(
    account: UUID | None, run: Callable[[Sessions, AccountKeys, BlobStore], Awaitable[buyers.Found]]
) -> buyers.Found:
    settings = settings_or_exit(BuyerSettings)
    blobs = open_blobs(settings)

    async def with_keys(sessions: Sessions) -> buyers.Found:
        account_id = account or await only_account(sessions)
        if account_id is None:
            give_up("Say in which account, with --account: there is more than one, or none.")
        provider = KeySource.open(settings)
        try:
            keys = await Keyring(provider).of(sessions, account_id)
        finally:
            await provider.close()
        return await run(sessions, keys, blobs)

    try:
        return _with_database(settings, with_keys)
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    except SealBroken:
        give_up("There is no such account, or its keys do not open. `keys status` says more.", code=FAILED)
    except BlobsUnavailable:
        give_up("The blob store does not answer. What is left is found again: run it once more.", code=FAILED)
    finally:
        blobs.close()


def _with_database(settings: PurgeSettings, run: Callable[[Sessions], Awaitable[_Result]]) -> _Result:
    return run_with_database(settings, "connector-privacy", run, statement_seconds=_STATEMENT_SECONDS)
