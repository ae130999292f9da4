"""The mailrelay's commands. `serve` accepts mail; `worker` makes messages of what was accepted."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import typer

from services.mailrelay.journal import DatabaseNotDurable
from services.mailrelay.settings import MailWorkerSettings, RelaySettings
from services.mailrelay.side_port import PortTaken
from shared.crypto.key_provider import KeyFileUnusable
from shared.logging import configure_logging
from shared.settings import CommonSettings, SettingsWrong, load_settings

_SettingsClass = TypeVar("_SettingsClass", bound=CommonSettings)

cli = typer.Typer(
    help="Accepts the mails that Amazon sends, and delivers them to the matching integration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Accept mail over SMTP and keep it durably."""
    from services.mailrelay.server import serve as run  # noqa: PLC0415  # each role loads only its own rooms

    _run_role("mailrelay", RelaySettings, run)


@cli.command()
def worker() -> None:
    """Turn accepted mail into messages."""
    from services.mailrelay.delivery.worker import run_worker  # noqa: PLC0415  # each role loads only its own rooms

    _run_role("mailrelay-worker", MailWorkerSettings, run_worker)


def _run_role(
    role: str,
    settings_class: type[_SettingsClass],
    run: Callable[[_SettingsClass, asyncio.Event], Awaitable[None]],
) -> None:
    try:
        settings = load_settings(settings_class)
    except SettingsWrong as wrong:
        _give_up(str(wrong))
    configure_logging(role, level=settings.log_level)
    try:
        asyncio.run(_until_signal(settings, run))
    except PortTaken as taken:
        _give_up(
            f"Port {taken.fields['port']} {taken.fields['problem']}. Set {taken.fields['setting']} to a free one."
        )
    except KeyFileUnusable as unusable:
        _give_up(
            f"The key file {unusable.fields['path']} cannot be used. `python -m services.connector keys create` makes one."
        )
    except DatabaseNotDurable as not_durable:
        _give_up(f"{not_durable}. A mail that is answered 250 would not survive a power cut.")


async def _until_signal(
    settings: _SettingsClass, run: Callable[[_SettingsClass, asyncio.Event], Awaitable[None]]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)


def _give_up(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    cli()
