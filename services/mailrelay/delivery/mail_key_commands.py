"""The `keys mail` commands: replace the key pair that mail is sealed with on its way from the relay to the mail worker. None shows a private key.

A pair is replaced in three steps, so that no mail is ever sealed to a key which no worker holds, and none loses its key: `rotate` gives the workers a new
private key beside the old one, `use` gives relays its public half, and `retire` forgets the old one when nothing needs it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from services.mailrelay.settings import MailKeySettings
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.mail_key_files import MailPrivateKeyFile, MailPublicKeyFile, write_public_key
from shared.process import FAILED, changing_keys, give_up, key_file_cure, settings_or_exit

if TYPE_CHECKING:
    from shared.database import Sessions

mail_keys = typer.Typer(
    help="The key pair that mail is sealed with. Relays and mail workers may run meanwhile; they read a changed file by themselves.",
    no_args_is_help=True,
)

_Result = TypeVar("_Result")


@mail_keys.command()
def rotate() -> None:
    """Add a new private key to the mail workers' file. Nothing is sealed to it before `keys mail use`."""
    settings = settings_or_exit(MailKeySettings)
    key = _changed(settings, lambda file: file.add(datetime.now(UTC)))
    print(
        f"{key.key_id} is in {settings.mail_private_key_file}. Copy the file to every machine with a mail worker, and keep a copy. "
        f"Then run `keys mail use {key.key_id}`."
    )


@mail_keys.command()
def use(
    key_id: Annotated[str, typer.Argument(help="A key of the file, which every mail worker holds by now.")],
    *,
    to: Annotated[
        Path | None,
        typer.Option(help="Where to write its public half, if not to REPLYCO_MAIL_PUBLIC_KEY_FILE."),
    ] = None,
) -> None:
    """Write the public half of this key into the file that relays read; mail is sealed to it at once."""
    settings = settings_or_exit(MailKeySettings)
    path = to or settings.mail_public_key_file
    if path is None:
        give_up("Set REPLYCO_MAIL_PUBLIC_KEY_FILE, or name a file with --to.")
    key = _changed(settings, lambda file: file.key(key_id))

    def change(file: MailPrivateKeyFile) -> None:
        write_public_key(path, key.public)
        file.use(key_id)

    _changed(settings, change)
    print(
        f"The public half of {key_id} is in {path}. Copy it to every machine with a relay: each seals to it as soon as its file has changed. "
        "`keys mail retire` says a day later whether the old key can go."
    )


@mail_keys.command()
def retire(
    key_id: Annotated[str, typer.Argument(help="A key that no relay seals to any more.")],
) -> None:
    """Take a key out of the mail workers' file, if nothing needs it any more: a day after the last relay has sealed to it."""
    settings = settings_or_exit(MailKeySettings)
    from services.mailrelay.delivery.mail_keys import why_needed  # noqa: PLC0415  # only for those who ask the database
    from shared.database_command import run_with_database  # noqa: PLC0415

    file = _changed(settings, lambda file: file)
    _changed(settings, lambda file: file.key(key_id))
    if file.current.key_id == key_id or _is_sealed_to(settings, key_id):
        give_up(f"{key_id} is the key that mail is sealed to at present. Rotate first.", code=FAILED)

    async def ask(sessions: "Sessions") -> str | None:
        return await why_needed(sessions, key_id)

    needed = run_with_database(settings, "mailrelay-keys", ask, statement_seconds=300.0)
    if needed is not None:
        give_up(f"Nothing was changed: {needed}", code=FAILED)
    _changed(settings, lambda file: file.remove(key_id))
    print(
        f"{key_id} is gone from {settings.mail_private_key_file}. Copy the file to every machine with a mail worker. Backups from before need the "
        "key: keep it with them, away from here."
    )


def _is_sealed_to(settings: MailKeySettings, key_id: str) -> bool:
    path = settings.mail_public_key_file
    try:
        return path is not None and path.exists() and MailPublicKeyFile.load(path).current.key_id == key_id
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))


def _changed(settings: MailKeySettings, change: Callable[[MailPrivateKeyFile], _Result]) -> _Result:
    with changing_keys():
        return change(MailPrivateKeyFile.load(settings.mail_private_key_file))
