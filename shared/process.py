"""Runs a role as a process: settings, logs, then work until SIGTERM or Ctrl-C. A start that fails says why in plain words."""

import asyncio
import getpass
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import structlog
from pydantic_settings import BaseSettings

from shared.crypto.key_provider import KeyFileUnusable, KeyNotChangeable
from shared.errors import CannotStart
from shared.logging import configure_logging, flush_log
from shared.secure_defaults import refuse_unsafe, unsafe
from shared.settings import CommonSettings, SettingsWrong, load_settings
from shared.side_port import PortTaken

_SettingsClass = TypeVar("_SettingsClass", bound=CommonSettings)
_AnySettings = TypeVar("_AnySettings", bound=BaseSettings)

CANNOT_START = 2
FAILED = 1
# All works, but a key should have been replaced by now.
KEYS_OVERDUE = 3

# A second signal so soon is the first one, sent to a whole group of processes and passed on by a parent in it.
_SAME_SIGNAL_SECONDS: Final = 0.2

log = structlog.get_logger()


def run_role(
    role: str,
    settings_class: type[_SettingsClass],
    run: Callable[[_SettingsClass, asyncio.Event], Awaitable[None]],
    *,
    is_ended_by_its_supervisor: bool = False,
) -> None:
    """Run `run(settings, stop)` until it returns; `stop` is set by SIGTERM or SIGINT, and a second one ends the process at once, unless
    a supervisor of ours does that."""
    settings = settings_or_exit(settings_class)
    configure_logging(role, level=settings.log_level, for_good=True)
    warn_of_development(settings)
    try:
        asyncio.run(_until_signal(settings, run, ends_at_once=not is_ended_by_its_supervisor))
    except PortTaken as taken:
        give_up(port_cure(taken))
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    except CannotStart as reason:
        give_up(str(reason))
    except Exception as error:
        log.critical("role_failed", exc_info=error)
        raise SystemExit(FAILED) from None


def settings_or_exit(settings_class: type[_AnySettings], *, even_if_unsafe: bool = False) -> _AnySettings:
    """The settings. If any are wrong or not safe, the process ends and names all of them."""
    try:
        settings = load_settings(settings_class)
        if not even_if_unsafe:
            refuse_unsafe(settings)
    except SettingsWrong as wrong:
        give_up(str(wrong))
    return settings


def warn_of_development(settings: CommonSettings) -> None:
    """Say in the log that unsafe settings may be in use, and which are."""
    if settings.development:
        log.warning("development", unsafe_settings=[rule.name for rule in unsafe(settings)])


def port_cure(taken: PortTaken) -> str:
    """The sentence that says what to do about a port that cannot be opened."""
    return (
        f"Port {taken.fields['port']} {taken.fields['problem']}. Set {taken.fields['setting']} to a free one."
    )


def key_file_cure(unusable: KeyFileUnusable) -> str:
    """The sentence that says what to do about a key file that cannot be used."""
    path, command = unusable.fields["path"], unusable.fields.get("made_by")
    needs = unusable.fields.get("needs")
    if needs is not None:
        return f"The key file {path} says that AWS KMS wraps. Set {needs} and what belongs to it, as where `keys use kms` was run."
    if unusable.fields.get("is_unwritten"):
        reason = os.strerror(getattr(unusable.__cause__, "errno", None) or 0)
        return f"The key file {path} could not be written ({reason}). Is there room on the disk, and may this user write to {Path(str(path)).parent}?"
    # A new set opens nothing that is sealed already: it is the cure of an installation without data alone.
    match unusable.__cause__:
        case FileNotFoundError():
            told = f"The key file {path} is missing. Put it back from your copy, or correct the setting."
        case PermissionError():
            told = f"The key file {path} may not be read by this user. Give it to them: `chown`, and `chmod 600`."
        case OSError() as error:
            told = f"The key file {path} cannot be read ({os.strerror(error.errno or 0)}). Put it back from your copy."
        case _:
            told = f"The key file {path} is damaged, or no key file. Put it back from your copy."
    if command is not None:
        return f"{told} Without a copy, `{command}` makes a new one."
    if isinstance(unusable.__cause__, FileNotFoundError):
        return f"{told} Only where nothing was stored yet, `python -m services.connector keys create` makes a first set."
    return told


@contextmanager
def changing_keys() -> Iterator[None]:
    """Within it a command changes keys: a file that cannot be used, and what must not be done to a key, end it with the cure."""
    try:
        yield
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    except KeyNotChangeable as reason:
        give_up(str(reason), code=FAILED)


def give_up(message: str, *, code: int = CANNOT_START) -> NoReturn:
    """End the process because it cannot do its work."""
    print(message, file=sys.stderr)
    raise SystemExit(code)


def stop_on_signals(stop: asyncio.Event, *, ends_at_once: bool = True) -> None:
    """Let SIGTERM and SIGINT set `stop`, and a second one of them end the process at once, whatever is under way.

    SIGHUP, which would kill, is for none but the relay's supervisor, which takes it over: others say in the log that they go on.
    """
    loop = asyncio.get_running_loop()
    told_at: float | None = None

    def stop_or_end(number: signal.Signals) -> None:
        nonlocal told_at
        if told_at is None:
            told_at = loop.time()
            stop.set()
        elif ends_at_once and loop.time() - told_at > _SAME_SIGNAL_SECONDS:
            log.warning("ended_at_once", signal=number.name)
            flush_log()
            os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_end, number)
    loop.add_signal_handler(signal.SIGHUP, lambda: log.info("hangup_ignored"))


async def _until_signal(
    settings: _SettingsClass,
    run: Callable[[_SettingsClass, asyncio.Event], Awaitable[None]],
    *,
    ends_at_once: bool,
) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop, ends_at_once=ends_at_once)
    await run(settings, stop)


def operator_name() -> str:
    """Who runs a command, as far as the machine knows: `somebody@machine`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:200]
