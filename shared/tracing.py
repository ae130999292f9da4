"""Spans for OpenTelemetry: what a mail, or the connecting of a store, went through and how long each part took. Off unless an endpoint is set.

The trace of a mail has the mail's own id, and so has everything that is told of it: whoever works on the mail later, in whichever process, adds to
the same trace without anything being handed on (docs/adr/0029-a-trace-has-the-id-of-its-mail.md). A span holds ids, codes and counts. What is not
named here, or does not look like a code, is left out of it: never a name, address, text, token or exception text.
"""

import hashlib
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import structlog

from shared.errors import Expected

if TYPE_CHECKING:
    from shared.settings import TracingSettings

log = structlog.get_logger()

Fact = UUID | str | int | float | bool | None

_KNOWN: Final = frozenset(
    {
        "mail_id", "message_id", "account_id", "integration_id", "attempt_id", "session_id", "size", "recipients", "tls_version",
        "lane", "kind", "authenticity", "reason", "attempts", "batch", "outcome", "grant_type", "region",
    }
)  # fmt: skip
_CODE: Final = re.compile(r"[A-Za-z0-9_.]{1,40}")


class Writer(Protocol):
    """Takes spans that have ended. Moments are those of `time.monotonic`."""

    share: float

    def write(
        self,
        name: str,
        *,
        trace_id: int,
        span_id: int | None,
        parent_id: int | None,
        began: float,
        ended: float,
        facts: Mapping[str, str | int | float | bool],
        error: str | None,
    ) -> int:
        """The span's id, which is `span_id` if one is given."""
        ...


_writer: Writer | None = None
# The trace in which this task works, and the span that is open there.
_open: ContextVar[tuple[UUID, int] | None] = ContextVar("open_span", default=None)
_NOTHING: Final = nullcontext()


def is_on(of: UUID | None = None) -> bool:
    """Whether spans are written, and those of this trace among them. All processes decide alike."""
    return _writer is not None and (of is None or root_of(of) < _writer.share * 2**64)


def root_of(of: UUID) -> int:
    """The id of the trace's first span, which every process knows."""
    return int.from_bytes(hashlib.sha256(of.bytes).digest()[:8]) or 1


def record(
    name: str,
    of: UUID,
    *,
    began: float,
    ended: float | None = None,
    is_root: bool = False,
    error: str | None = None,
    **facts: Fact,
) -> None:
    """Write a span that has ended. Moments are those of `time.monotonic`. Its parent is the trace's first span, unless it is that."""
    if not is_on(of):
        return
    root = root_of(of)
    _write(
        name,
        of,
        began=began,
        ended=time.monotonic() if ended is None else ended,
        span_id=root if is_root else None,
        parent_id=None if is_root else root,
        error=error,
        facts=facts,
    )


def _write(
    name: str,
    of: UUID,
    *,
    began: float,
    ended: float,
    span_id: int | None,
    parent_id: int | None,
    error: str | None,
    facts: Mapping[str, Fact],
) -> int | None:
    if _writer is None or not is_on(of):
        return None
    try:
        return _writer.write(
            name,
            trace_id=of.int,
            span_id=span_id,
            parent_id=parent_id,
            began=began,
            ended=ended,
            facts=_told(facts),
            error=error if error is None or _CODE.fullmatch(error) else "unexpected",
        )
    except Exception:  # the mail is ours by now: it must not be refused for a span
        log.exception("span_not_written")
        return None


class Steps:
    """What several mails go through together, one step after the other."""

    __slots__ = ("_marks", "began")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._marks: list[tuple[str, float]] = []

    def begin(self, name: str) -> None:
        """The step before ends, and this one begins."""
        if _writer is not None:
            self._marks.append((name, time.monotonic()))

    def record(self, name: str, of: UUID, **facts: Fact) -> None:
        """Write the whole, and its steps below it, into the trace of one mail."""
        ended = time.monotonic()
        whole = _write(
            name,
            of,
            began=self.began,
            ended=ended,
            span_id=None,
            parent_id=root_of(of),
            error=None,
            facts=facts,
        )
        if whole is None:
            return
        ends = [*(began for _, began in self._marks[1:]), ended]
        for (step_name, began), end in zip(self._marks, ends, strict=True):
            _write(step_name, of, began=began, ended=end, span_id=None, parent_id=whole, error=None, facts={})


def trace(name: str, of: UUID, *, began: float, **facts: Fact) -> AbstractContextManager[object]:
    """The first span of a trace, around what `step` tells of; it began at this moment of `time.monotonic`."""
    return _NOTHING if not is_on(of) else _spanned(name, of, began=began, parent_id=None, facts=facts)


def step(name: str, **facts: Fact) -> AbstractContextManager[object]:
    """A span below the one that is open in this task; nothing where none is."""
    if _writer is None or (place := _open.get()) is None:
        return _NOTHING
    of, parent_id = place
    return _spanned(name, of, began=time.monotonic(), parent_id=parent_id, facts=facts)


@contextmanager
def _spanned(
    name: str, of: UUID, *, began: float, parent_id: int | None, facts: Mapping[str, Fact]
) -> Iterator[None]:
    token = None if parent_id is not None else _open.set((of, root_of(of)))
    error = None
    try:
        yield
    except BaseException as failure:
        error = _code_of(failure)
        raise
    finally:
        if token is not None:
            _open.reset(token)
        _write(
            name,
            of,
            began=began,
            ended=time.monotonic(),
            span_id=root_of(of) if parent_id is None else None,
            parent_id=parent_id,
            error=error,
            facts=facts,
        )


def _code_of(failure: BaseException) -> str:
    return failure.code if isinstance(failure, Expected) else type(failure).__name__


def _told(facts: Mapping[str, Fact]) -> dict[str, str | int | float | bool]:
    told: dict[str, str | int | float | bool] = {}
    for name, value in facts.items():
        if name not in _KNOWN or value is None:
            continue
        if isinstance(value, UUID):
            told[f"replyco.{name}"] = str(value)
        elif not isinstance(value, str) or _CODE.fullmatch(value):
            told[f"replyco.{name}"] = value
    return told


@asynccontextmanager
async def exporting(role: str, settings: "TracingSettings") -> AsyncIterator[None]:
    """Write spans while the caller's block runs, if an endpoint is set. No failure of it concerns the block."""
    global _writer  # noqa: PLW0603 - a process has one, as it has one log
    if settings.otlp_endpoint is None:
        yield
        return
    try:
        from shared.tracing_export import SpanExport  # noqa: PLC0415  # what is off is not loaded, or not even installed

        export = SpanExport(role, settings.otlp_endpoint, settings.traced_share)
    except ModuleNotFoundError:
        log.warning("tracing_not_installed", setting="REPLYCO_OTLP_ENDPOINT")
        yield
        return
    except Exception:  # one of OpenTelemetry's own variables is wrong
        log.exception("tracing_not_begun")
        yield
        return
    async with export as _writer:
        try:
            yield
        finally:
            _writer = None
