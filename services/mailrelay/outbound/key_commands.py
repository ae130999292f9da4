"""The `keys` commands: how old the keys for mail are; make, show and change the one that replies are signed with. None shows a private key.

A key is changed in four steps, so that no reply is ever signed with one that receivers do not find: `rotate` adds the new one, its record is
put into the DNS beside the old one's, `use` signs with it once the DNS shows it, and a week later `retire` forgets the old one.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from services.mailrelay.settings import DkimKeySettings, KeyStatusSettings
from shared.crypto.dkim_keys import DkimKey, DkimKeyFile
from shared.crypto.key_ages import age_told, is_overdue
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.mail_key_files import MailPrivateKeyFile
from shared.crypto.raw_mail import MailPublicKey
from shared.process import FAILED, KEYS_OVERDUE, changing_keys, give_up, key_file_cure, settings_or_exit

if TYPE_CHECKING:
    from services.mailrelay.dns_setup.check import DnsLookup

keys = typer.Typer(help="The mail worker's keys.", no_args_is_help=True)
dkim = typer.Typer(
    help="The key that replies are signed with for the mail domain. The mail worker may run meanwhile; it reads a changed file by itself.",
    no_args_is_help=True,
)
keys.add_typer(dkim, name="dkim")

Resolver = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS[#PORT]", help="The name server to ask, if not the machine's own."),
]
_Result = TypeVar("_Result")
_NEW_PAIR: Final = "`keys mail rotate`"


@keys.command()
def status() -> None:
    """Say how old the mail key pair and the DKIM key are, of which the settings name the files; they are due after 12 months.

    Exit code 3 says that one is overdue.
    """
    settings = settings_or_exit(KeyStatusSettings)
    try:
        told = key_ages(settings, datetime.now(UTC))
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    if not told:
        give_up(
            "No key file is named. Set REPLYCO_MAIL_PUBLIC_KEY_FILE, REPLYCO_MAIL_PRIVATE_KEY_FILE or REPLYCO_DKIM_KEY_FILE to the file "
            "that this machine has."
        )
    for line, _ in told:
        print(f"{line}.")
    if any(overdue for _, overdue in told):
        raise typer.Exit(KEYS_OVERDUE)


def key_ages(settings: KeyStatusSettings, now: datetime) -> list[tuple[str, bool]]:
    """A line about each key that is in use, and whether it is overdue. Raises KeyFileUnusable."""
    found: list[tuple[str, datetime | None, str]] = []
    if settings.mail_public_key_file is not None:
        public = MailPublicKey.load(settings.mail_public_key_file)
        found.append((f"Mail is sealed to {public.key_id}", public.made_at, _NEW_PAIR))
    if settings.mail_private_key_file is not None:
        held = MailPrivateKeyFile.load(settings.mail_private_key_file)
        private = held.current
        others = [key_id for key_id in held.keys if key_id != private.key_id]
        also = f" (also with {', '.join(others)})" if others else ""
        found.append((f"Mail is opened with {private.key_id}{also}", private.made_at, _NEW_PAIR))
    if settings.dkim_key_file is not None:
        signs = DkimKeyFile.load(settings.dkim_key_file).current
        found.append((f"Replies are signed with {signs.selector}", signs.made_at, "`keys dkim rotate`"))
    return [
        (f"{told}: {age_told(made_at, now, cure)}", is_overdue(made_at, now)) for told, made_at, cure in found
    ]


@dkim.command()
def create() -> None:
    """Write the file that REPLYCO_DKIM_KEY_FILE names, with one new key; never over a file that is there."""
    settings = settings_or_exit(DkimKeySettings)
    path = settings.dkim_key_file
    if os.path.lexists(path):
        give_up(f"Nothing was written, because {path} exists. `keys dkim rotate` adds a key to it.")
    try:
        file = DkimKeyFile.create(path, datetime.now(UTC))
    except KeyFileUnusable:
        give_up(f"{path} cannot be written. Is {path.parent} a folder that you may write to?")
    print(f"Written to {path}, for the mail worker alone. Put this record into the DNS:\n")
    print(_zone_line(file.current, settings.mail_domain))
    print("\nReplies are signed as soon as a mail worker is started with REPLYCO_DKIM_KEY_FILE.")


@dkim.command()
def show() -> None:
    """Say which keys there are, which of them signs, and the record of each."""
    settings = settings_or_exit(DkimKeySettings)
    file = _changed(settings, lambda file: file)
    for key in file.keys:
        use = "signs" if key.selector == file.current.selector else "does not sign"
        print(f"; {key.selector} {use}\n{_zone_line(key, settings.mail_domain)}")


@dkim.command()
def rotate(
    *, now: Annotated[bool, typer.Option("--now", help="Sign with the new key at once.")] = False
) -> None:
    """Add a key. It signs once its record is in the DNS and `keys dkim use` was run."""
    settings = settings_or_exit(DkimKeySettings)
    key = _changed(settings, lambda file: file.add(datetime.now(UTC), use=now))
    print("Put this record into the DNS, beside the one that is there:\n")
    print(_zone_line(key, settings.mail_domain))
    if now:
        print(f"\n{key.selector} signs from now on.")
    else:
        print(
            f"\nOnce it is there, run `keys dkim use {key.selector}`. Until then the key from before signs."
        )


@dkim.command()
def use(
    selector: Annotated[str, typer.Argument(help="The selector of a key of the file.")],
    *,
    now: Annotated[bool, typer.Option("--now", help="Do not ask the DNS.")] = False,
    resolver: Resolver = None,
) -> None:
    """Sign with this key from now on, if the DNS shows its record."""
    settings = settings_or_exit(DkimKeySettings)
    key = _changed(settings, lambda file: file.key(selector))
    if not now:
        _require_record(key, settings.mail_domain, resolver)
    _changed(settings, lambda file: file.use(selector))
    print(
        f"{selector} signs from now on. Leave the old key's record in the DNS for a week: mail is on its way."
    )


@dkim.command()
def retire(
    selector: Annotated[str, typer.Argument(help="The selector of a key that does not sign any more.")],
) -> None:
    """Take a key out of the file, a week after another one has begun to sign."""
    settings = settings_or_exit(DkimKeySettings)
    key = _changed(settings, lambda file: file.key(selector))
    _changed(settings, lambda file: file.remove(selector))
    print(f"{selector} is gone from the file. Take {key.record_name(settings.mail_domain)} out of the DNS.")


def lookup_or_exit(resolver: str | None) -> "DnsLookup":
    """A look-up at the name server that an option names, or at the machine's own."""
    from services.mailrelay.dns_setup.check import lookup_at, lookup_with  # noqa: PLC0415  # only for those who ask

    try:
        return lookup_with() if resolver is None else lookup_at(resolver)
    except ValueError:
        raise typer.BadParameter(
            "An IP address, and a port behind # if it is not 53.", param_hint="--resolver"
        ) from None


def _require_record(key: DkimKey, domain: str, resolver: str | None) -> None:
    from services.mailrelay.dns_setup.check import check_dkim_record  # noqa: PLC0415  # only for those who ask
    from services.mailrelay.dns_setup.records import RecordStatus  # noqa: PLC0415

    checked = asyncio.run(check_dkim_record(key, domain, lookup_or_exit(resolver)))
    if checked.status is not RecordStatus.RIGHT:
        give_up(
            f"Nothing was changed. The record of {key.selector}: {checked.status.value}. It should be\n\n"
            f"{_zone_line(key, domain)}\n\nWait until the DNS shows it, or run this again with --now.",
            code=FAILED,
        )


def _zone_line(key: DkimKey, domain: str) -> str:
    from services.mailrelay.dns_setup.check import zone_line  # noqa: PLC0415  # only for those who ask
    from services.mailrelay.dns_setup.records import dkim_record  # noqa: PLC0415

    return zone_line(dkim_record(key, domain))


def _changed(settings: DkimKeySettings, change: Callable[[DkimKeyFile], _Result]) -> _Result:
    with changing_keys():
        return change(DkimKeyFile.load(settings.dkim_key_file))
