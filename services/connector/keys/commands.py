"""The `keys` commands: make keys, rotate them while everything runs, and say what each is used for."""

import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from pydantic import Field, SecretStr

from services.connector.amazon.errors import AmazonPaused
from services.connector.amazon_credentials.service import store_client_secret
from services.connector.keys import service
from services.connector.keys.data_key_service import Changed, change_data_keys
from services.connector.keys.key_uses import DataKeyAges, KeyUse, explained, is_any_overdue
from services.connector.settings import SandboxUrl
from shared.blobs import open_blobs
from shared.crypto.envelope import SealBroken
from shared.crypto.key_ages import KEY_LIFETIME
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.crypto.key_source import KeySource
from shared.crypto.mail_key_files import create_mail_key_pair
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.errors import Expected
from shared.process import FAILED, KEYS_OVERDUE, changing_keys, give_up, settings_or_exit
from shared.settings import BlobSettings, CommonSettings, KeySourceSettings

keys = typer.Typer(
    help="Keys: make, rotate, wrap anew. Processes may run meanwhile; they read a changed key file by themselves.",
    no_args_is_help=True,
)

_Result = TypeVar("_Result")

_PROGRESS_SECONDS: Final = 2.0
# Two months before they are overdue, so that whoever runs it each month is never late.
_DUE_SOON_DAYS: Final = KEY_LIFETIME.days - 60
# Slow on purpose: mail and replies go on beside it.
_ROWS_PER_SECOND: Final = 500
# Nobody waits for one answer of an operator's command.
_STATEMENT_SECONDS: Final = 300.0


class KeySettings(CommonSettings, KeySourceSettings):
    """What the commands for an installation's keys need."""


class DataKeySettings(KeySettings, BlobSettings):
    """What `keys rotate-data-keys` needs: large attachments are sealed with data keys, too."""


class ClientSecretSettings(KeySettings):
    """What the commands for the application's client secret need."""

    amazon_client_id: str = Field(min_length=1, description="the LWA client id of the application")
    amazon_client_secret: SecretStr = Field(
        min_length=1, description="the LWA client secret of the application"
    )
    amazon_new_client_secret: SecretStr | None = Field(None, description="the new LWA client secret")
    amazon_base_url: SandboxUrl | None = Field(
        None,
        description="the sandbox's address, such as http://localhost:8090; leave it unset to reach Amazon itself",
    )


@keys.command("create")
def create_keys(
    directory: Annotated[Path, typer.Option(help="An existing folder that only we can read.")],
) -> None:
    """Write account-keys.json, mail-private.json and mail-public.json; never over a file that is there."""
    account_keys = directory / "account-keys.json"
    pair = directory / "mail-private.json", directory / "mail-public.json"
    there = [str(path) for path in (account_keys, *pair) if os.path.lexists(path)]
    if there:
        give_up(
            f"Nothing was written, because these exist: {', '.join(there)}. Without them nothing sealed opens any more."
        )
    try:
        KeyFile.create(account_keys)
        create_mail_key_pair(*pair)
    except KeyFileUnusable as unusable:
        give_up(
            f"{unusable.fields['path']} cannot be written. Is {directory} a folder that you may write to?"
        )
    print(f"Written to {directory}: {account_keys.name}, {pair[0].name}, {pair[1].name}. Keep a copy.")


@keys.command()
def status() -> None:
    """Say which keys there are, how much each of them wraps, and which should have been replaced by now (12 months).

    Exit code 1 says that something does not open; 3, that everything opens but a key is overdue.
    """
    now = datetime.now(UTC)

    async def run(sessions: Sessions, source: KeySource) -> tuple[list[KeyUse], DataKeyAges, dict[str, int]]:
        return (
            await service.uses(sessions, source),
            await service.data_key_ages(sessions, now),
            await service.unopened_mail(sessions),
        )

    uses, ages, mail = _with_database(run)
    print("Key-encryption keys:")
    for line in explained(uses, now):
        print(f"  {line}")
    print(f"Data keys that accounts are sealed with: {ages.told}.")
    print("Mail that no worker has opened yet, by mail key:")
    for key_id, count in sorted(mail.items()):
        print(f"  {key_id}: {count}")
    if not mail:
        print("  none")
    print("Mail key pair and DKIM key: `python -m services.mailrelay keys status`, where their files are.")
    if any(use.is_missing for use in uses):
        raise typer.Exit(FAILED)
    if is_any_overdue(uses, ages, now):
        raise typer.Exit(KEYS_OVERDUE)


@keys.command()
def rotate(
    *,
    later: Annotated[
        bool,
        typer.Option("--later", help="Only add the key. Copy the file to every machine, then `keys use` it."),
    ] = False,
) -> None:
    """Add a key-encryption key to the key file and wrap with it from now on. `keys rewrap` does the rest."""
    key_id = _changed(lambda file: file.add(use=not later))
    if later:
        print(
            f"{key_id} is in the file, and wraps nothing yet. Copy the file to every machine, then run `keys use {key_id}`."
        )
    else:
        print(f"{key_id} wraps from now on. Keep a copy of the file, then run `keys rewrap`.")


@keys.command()
def use(key_id: Annotated[str, typer.Argument(help="A key of the file, such as k2; or kms.")]) -> None:
    """Wrap with this key from now on: one of the file, or the one that REPLYCO_KMS_KEY names."""
    _changed(lambda file: file.use(key_id))
    print(f"{key_id} wraps from now on. `keys rewrap` does the rest.")


@keys.command()
def rewrap() -> None:
    """Wrap with the current key what older ones wrap. May be broken off and run again."""

    async def run(sessions: Sessions, source: KeySource) -> int:
        return await service.rewrap(sessions, source, _Progress().show)

    print(
        f"{_with_database(run)} keys and secrets are wrapped anew. `keys status` says which old keys can go."
    )


@keys.command()
def retire(
    key_id: Annotated[str, typer.Argument(help="A key that wraps nothing any more, such as k1.")],
) -> None:
    """Take a key out of the file, if nothing is wrapped with it. Backups from before need it: keep it with them."""

    async def run(sessions: Sessions, source: KeySource) -> None:
        await service.retire(sessions, source, key_id)

    _with_database(run)
    print(f"{key_id} is gone from the file. Backups from before need it: keep it with them, away from here.")


@keys.command("rotate-data-keys")
def rotate_data_keys(
    *,
    older_than: Annotated[
        int,
        typer.Option(
            metavar="DAYS",
            min=0,
            help="Only accounts whose data key is at least so old get a new one. 0: each, at every run.",
        ),
    ] = _DUE_SOON_DAYS,
    rows_per_second: Annotated[
        int, typer.Option(min=1, max=100_000, help="At most so many rows are written in a second.")
    ] = _ROWS_PER_SECOND,
) -> None:
    """Give accounts new data keys and seal everything anew with them, while everything runs. May be broken off and run again.

    Needs the database's user of `python -m migrations upgrade`, for the connector's own may not write mail. New keys seal after five minutes,
    when every process knows them. An old one is removed by a later run, a day after nothing was sealed with it any more.
    Exit code 1 says that something does not open, or could not be sealed anew because others used it all the time.
    """
    settings = settings_or_exit(DataKeySettings)
    progress = _Progress()

    async def run(sessions: Sessions, source: KeySource) -> Changed:
        blobs = open_blobs(settings)
        try:
            return await change_data_keys(
                sessions,
                source,
                blobs,
                older_than=timedelta(days=older_than),
                rows_per_second=rows_per_second,
                say=progress.say,
            )
        finally:
            blobs.close()

    changed = _with_database(run)
    print(
        f"New data keys: {changed.made} made, {changed.used} in use from now on. {changed.resealed} rows are sealed anew. "
        f"Old data keys: {changed.removed} removed, {changed.kept} kept."
    )
    if changed.broken:
        print(
            f"{changed.broken} values do not open, or lie in files that cannot be read. They and their keys stay as they are."
        )
    if changed.left:
        print(f"{changed.left} rows were in use by others until the end. Run this again.")
    if changed.broken or changed.left:
        raise typer.Exit(FAILED)
    if changed.kept:
        print("Run this again in a day: what nothing is sealed with any more is removed then.")


@keys.command("rotate-client-secret")
def rotate_client_secret() -> None:
    """Ask Amazon for a new LWA client secret. A worker takes it out of the queue that the settings name, else you do."""
    settings = settings_or_exit(ClientSecretSettings)

    async def run(sessions: Sessions, _keys: KeySource) -> None:
        await service.ask_for_client_secret(
            sessions,
            settings.amazon_client_id,
            settings.amazon_client_secret,
            amazon_base_url=settings.amazon_base_url,
        )

    try:
        _with_database(run)
    except AmazonPaused:
        give_up("All calls to Amazon are paused. `amazon resume` lets them go on.", code=FAILED)
    except Expected as failure:
        give_up(
            f"Amazon did not do it ({failure.code}). Is the application registered for the notice of a new secret, in "
            "Solution Provider Portal? It may be asked about once a minute.",
            code=FAILED,
        )
    print(
        "Amazon sends the new secret to the application's queue. With REPLYCO_AMAZON_NOTICE_QUEUE_URL set, a worker takes it "
        "from there into use. Else read it there, then run `keys client-secret`. The old one is valid for seven more days."
    )


@keys.command("client-secret")
def client_secret() -> None:
    """Use a new LWA client secret first, from REPLYCO_AMAZON_NEW_CLIENT_SECRET or asked for. No restart is needed."""
    settings = settings_or_exit(ClientSecretSettings)
    given = settings.amazon_new_client_secret
    secret = given.get_secret_value() if given else str(typer.prompt("New client secret", hide_input=True))
    if not secret.strip():
        give_up("The new client secret is empty.")

    async def run(sessions: Sessions, source: KeySource) -> None:
        await store_client_secret(
            sessions, source, settings.amazon_client_id, SecretStr(secret.strip()), await sessions.now()
        )

    _with_database(run)
    print(
        "Every process uses it within half a minute; the one from before is tried when Amazon refuses it. It ends in 180 days. "
        "Put it into REPLYCO_AMAZON_CLIENT_SECRET, too, when you next restart."
    )


class _Progress:
    """Says on standard error how far it is, every other second."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def show(self, done: int, total: int) -> None:
        self.say(f"{done} of {total} are wrapped anew.")

    def say(self, text: str) -> None:
        if time.monotonic() - self._said_at >= _PROGRESS_SECONDS:
            self._said_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def _changed(change: Callable[[KeySource], _Result]) -> _Result:
    settings = settings_or_exit(KeySettings)
    with changing_keys():
        return change(KeySource.open(settings))


def _with_database(run: Callable[[Sessions, KeySource], Awaitable[_Result]]) -> _Result:
    settings = settings_or_exit(KeySettings)
    try:
        with changing_keys():
            source = KeySource.open(settings)

            async def closing(sessions: Sessions) -> _Result:
                try:
                    return await run(sessions, source)
                finally:
                    await source.close()

            return run_with_database(
                settings, "connector-keys", closing, statement_seconds=_STATEMENT_SECONDS
            )
    except SealBroken as broken:
        give_up(
            f"A key is missing or wrong: {broken.fields.get('wrapping_key_id', '?')}. `keys status` says more.",
            code=FAILED,
        )
