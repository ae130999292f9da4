"""Sends spans to an OpenTelemetry collector (OTLP over HTTP). Needs the extra `tracing`."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import requests
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from typing_extensions import override

from shared.version import version

log = structlog.get_logger()

_EVERY_SECONDS: Final = 2.0
_MOST_AT_ONCE: Final = 512
# What is not sent in time is lost, the oldest first: nobody waits for it, and memory is bounded.
_MOST_WAITING: Final = 8192
_EXPORT_SECONDS: Final = 3.0
# A stop waits so long for a collector.
_LAST_SECONDS: Final = 1.0
# Else a clock was set, and did not only run a little faster.
_DRIFT_NANOSECONDS: Final = 100_000_000


class _Clock:
    """What `time.monotonic` says, as the time of day. Moments keep their order, unless the clock was set between them."""

    def __init__(self) -> None:
        self._offset = self._look()

    def at(self, moment: float) -> int:
        """In nanoseconds, as spans have it."""
        return int(moment * 1e9) + self._offset

    def follow(self) -> None:
        """Notice that the clock was set."""
        offset = self._look()
        if abs(offset - self._offset) > _DRIFT_NANOSECONDS:
            self._offset = offset

    @staticmethod
    def _look() -> int:
        return time.time_ns() - int(time.monotonic() * 1e9)


class _PlannedIds(IdGenerator):
    """Gives the ids that were decided before."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 0

    @override
    def generate_span_id(self) -> int:
        return self.span_id

    @override
    def generate_trace_id(self) -> int:
        return self.trace_id


class _Waiting(SpanProcessor):
    """Spans that have ended and were not sent yet."""

    def __init__(self) -> None:
        self.spans: deque[ReadableSpan] = deque(maxlen=_MOST_WAITING)

    @override
    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def take(self) -> list[ReadableSpan]:
        return [self.spans.popleft() for _ in range(min(len(self.spans), _MOST_AT_ONCE))]


class SpanExport:
    """Writes spans from the loop's thread, and sends them in the background. What the collector does not take is lost, and said once."""

    def __init__(self, role: str, endpoint: str, share: float) -> None:
        self.share = share
        self._ids = _PlannedIds()
        self._waiting = _Waiting()
        # Its own lines would hold the collector's answers.
        for noisy in ("opentelemetry", "urllib3", "requests"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        session = requests.Session()
        session.trust_env = False
        self._exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS, session=session
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            # Made by hand: what detectors find (host, command line) is nobody's business.
            resource=Resource(
                {"service.namespace": "replyco", "service.name": role, "service.version": version()}
            ),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._waiting)
        self._tracer = provider.get_tracer("replyco")
        self._clock = _Clock()
        self._is_failing = False
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sending = asyncio.create_task(self._send_forever())
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._sending is not None
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        last = asyncio.create_task(self._send())
        await asyncio.wait([last], timeout=_LAST_SECONDS)
        # It tries no more; what it has in hand may take as long once more.
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no types
        await asyncio.wait([last], timeout=_LAST_SECONDS)

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
        """As shared.tracing.Writer says."""
        self._ids.trace_id = trace_id
        self._ids.span_id = own_id = span_id or secrets.randbits(63) + 1
        context = Context()
        if parent_id is not None:
            parent = SpanContext(trace_id, parent_id, is_remote=True, trace_flags=TraceFlags(1))
            context = set_span_in_context(NonRecordingSpan(parent), context)
        span = self._tracer.start_span(name, context, attributes=facts, start_time=self._clock.at(began))
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._clock.at(ended))
        return own_id

    async def _send_forever(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            self._clock.follow()
            await self._send()

    async def _send(self) -> None:
        while spans := self._waiting.take():
            try:
                result = await asyncio.to_thread(self._exporter.export, spans)
            except Exception as error:  # spans are lost; the work goes on
                result = SpanExportResult.FAILURE
                log.warning("spans_not_encoded", exc_info=error)
            is_failing = result is not SpanExportResult.SUCCESS
            if is_failing and not self._is_failing:
                log.warning("spans_not_taken", spans=len(spans))
            self._is_failing = is_failing
