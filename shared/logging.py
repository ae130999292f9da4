"""Structured logs: one JSON object a line on standard output. Event name and ids; never a name, address, text or secret."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import structlog
from typing_extensions import override

from shared.log_writer import LogWriter
from shared.recent_errors import RecentErrors

_MAX_CHAIN: Final = 4
_MAX_FRAMES: Final = 12
# One in a process; tests set up the log several times.
_writers: Final[list[LogWriter]] = []
_recent_errors: Final = RecentErrors()


def configure_logging(role: str, *, level: str = "INFO", for_good: bool = False) -> None:
    """Log lines of the libraries pass through the same form; SMTP dialogues never do.

    `for_good` is for a process that serves: each logger keeps what is set here from its first line on, which makes a line
    cheaper, and nothing can set the log up anew.
    """
    describing: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
    ]
    rendering: list[structlog.typing.Processor] = [_add_role(role), _render]
    writer = LogWriter(sys.stdout)
    _writers.append(writer)
    # Ours go straight to the writer: through the standard library a line would cost three times as much, which the relay
    # pays for every session.
    structlog.configure(
        processors=[*describing, _remember, *rendering],
        logger_factory=lambda *_names: writer,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=for_good,
    )
    handler = _LibraryLines(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=describing,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # aiosmtpd logs addresses and content at debug and info; SQL and HTTP lines would hold parameters and URLs.
    for noisy in (
        "mail",
        "aiosmtpd",
        "sqlalchemy.engine",
        "httpx2",
        "httpcore2",
        "uvicorn.access",
        "asyncio",
    ):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(_without_values)


def _without_values(record: logging.LogRecord) -> bool:
    """Keep what the event loop says, such as "Task exception was never retrieved", without what follows: the repr of a task or
    of a callback's arguments repeats the text of an exception, which may hold a value.
    """
    record.msg, record.args = re.split(r"[(\n]", record.getMessage(), maxsplit=1)[0], ()
    return True


class _LibraryLines(logging.Handler):
    """Hands lines of the libraries to the writer."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    @override
    def emit(self, record: logging.LogRecord) -> None:
        # The line itself is the library's, and may hold a value: only who said it is remembered.
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        _recent_errors.note(record.levelname.lower(), f"line of {record.name}", at)
        self._writer.msg(self.format(record))


def lost_lines() -> int:
    """How many lines of this process were lost, because nobody read them in time or they could not be written."""
    return sum(writer.lost for writer in _writers)


def recent_errors() -> list[Mapping[str, object]]:
    """The kinds of warnings and errors that this process logged last, the last one first; never a value of a line."""
    return _recent_errors.facts()


def flush_log() -> None:
    """Wait until what was logged so far is written."""
    for writer in _writers:
        writer.flush()


def _describe_exception(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Type and code lines of an exception, for each link of its chain. Never its text: that may hold a value."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    exception = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    chain: list[dict[str, object]] = []
    while isinstance(exception, BaseException) and len(chain) < _MAX_CHAIN:
        frames = traceback.extract_tb(exception.__traceback__)[-_MAX_FRAMES:]
        places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
        chain.append({"type": type(exception).__qualname__, "places": places})
        exception = exception.__cause__ or exception.__context__
    return {**event, "exception": chain} if chain else event


def _remember(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    exceptions, code = event.get("exception"), event.get("code")
    _recent_errors.note(
        event["level"],
        event["event"],
        event["timestamp"],
        exception=exceptions[0]["type"] if isinstance(exceptions, list) else None,
        code=code if isinstance(code, str) else None,
    )
    return event


# Made once: what is no JSON is written as its repr.
_ENCODER: Final = json.JSONEncoder(default=repr)


def _render(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
    return _ENCODER.encode(event)


def _add_role(role: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "role": role}

    return add
