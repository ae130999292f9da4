"""What the side port answers for all children together."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from typing_extensions import override

from services.mailrelay.process.control_channel import ChannelClosed
from services.mailrelay.process.process_slot import ProcessSlot
from shared.logging import lost_lines, recent_errors
from shared.metrics import CONTENT_TYPE, process_registry, render
from shared.side_port import NOT_FOUND, PLAIN_TEXT, STATUS, STOPPING, Answer, status_answer
from shared.version import version

# Longer than a child waits for its database.
_ANSWER_SECONDS: Final = 8.0
# Shorter than those wait who ask whether the relay lives.
_LIVE_SECONDS: Final = 2.0
# Shorter than `trace` waits.
_TRACE_SECONDS: Final = 4.0
# Paths that one child alone can answer; they hold nothing that could be mistaken for two requests.
_ANSWERED_BY_ONE: Final = re.compile(r"/trace/[A-Za-z0-9._-]{1,100}")


class ProcessAggregator:
    """Asks every child, and makes one answer of theirs."""

    def __init__(self, slots: Sequence[ProcessSlot], stop: asyncio.Event) -> None:
        self._slots = slots
        self._stop = stop
        self._own = process_registry()
        self._started_at = datetime.now(UTC)

    async def answer(self, path: str) -> Answer:
        """The answer to a request at the side port: liveness, readiness, metrics, the status or a trace."""
        match path:
            case "/livez":
                return await self._liveness()
            case "/readyz":
                return await self._readiness()
            case "/metrics":
                return await self._metrics()
            case "/status" | "/status.html":
                return status_answer(path, await self._status())
            case _ if _ANSWERED_BY_ONE.fullmatch(path):
                answers = await self._request_all(path, timeout_seconds=_TRACE_SECONDS)
                return next((answer for answer in answers if answer and answer.status != 404), NOT_FOUND)
            case _:
                return NOT_FOUND

    async def _request_all(
        self, path: str, *, timeout_seconds: float = _ANSWER_SECONDS
    ) -> list[Answer | None]:
        """Every slot's answer; None where no child answers."""

        async def request(slot: ProcessSlot) -> Answer | None:
            if slot.child is None:
                return None
            try:
                return await slot.child.channel.request(path, timeout_seconds=timeout_seconds)
            except ChannelClosed:
                return None

        return await asyncio.gather(*(request(slot) for slot in self._slots))

    async def _liveness(self) -> Answer:
        """Not alive is who gets connections and answers none; the supervisor replaces it, and whoever watches the supervisor may, too."""
        was_running = [slot.child is not None for slot in self._slots]
        answers = await self._request_all("/livez", timeout_seconds=_LIVE_SECONDS)
        hanging = [
            slot.number
            for slot, ran, answer in zip(self._slots, was_running, answers, strict=True)
            if ran and answer is None
        ]
        if hanging:
            return Answer(503, PLAIN_TEXT, f"processes that do not answer: {hanging}\n".encode())
        return Answer(200, PLAIN_TEXT, b"ok\n")

    async def _readiness(self) -> Answer:
        if self._stop.is_set():
            return Answer(503, PLAIN_TEXT, f"{STOPPING}\n".encode())
        answers = await self._request_all("/readyz")
        if None in answers:
            return Answer(503, PLAIN_TEXT, b"a process is being started\n")
        return next((answer for answer in answers if answer and answer.status != 200), _READY)

    async def _status(self) -> Mapping[str, object]:
        answers = await self._request_all(STATUS)
        told: list[dict[str, object]] = []
        errors: list[Mapping[str, object]] = [{"process": "supervisor", **error} for error in recent_errors()]
        for slot, answer in zip(self._slots, answers, strict=True):
            facts = {} if answer is None else json.loads(answer.body)
            problem = "it does not answer" if answer is None else facts["problem"]
            told.append(
                {
                    "process": slot.number,
                    "is_ready": problem is None,
                    "problem": problem,
                    "started_at": facts.get("started_at"),
                    "tables_needed": facts.get("tables_needed"),
                    "log_lines_lost": facts.get("log_lines_lost"),
                    "died": slot.deaths,
                    "hung": slot.hangs,
                }
            )
            errors += [{"process": slot.number, **error} for error in facts.get("last_errors", [])]
        return {
            "role": "mailrelay",
            "version": version(),
            "started_at": self._started_at,
            "at": datetime.now(UTC),
            "is_ready": not self._stop.is_set() and all(process["is_ready"] for process in told),
            "problem": STOPPING if self._stop.is_set() else None,
            "log_lines_lost": lost_lines(),
            "processes": told,
            "last_errors": errors,
        }

    async def _metrics(self) -> Answer:
        answers = await self._request_all("/metrics")
        texts = {
            str(slot.number): answer.body.decode()
            for slot, answer in zip(self._slots, answers, strict=True)
            if answer is not None
        }
        running = GaugeMetricFamily("replyco_relay_processes", "Processes that accept mail", value=len(texts))
        deaths = CounterMetricFamily(
            "replyco_relay_process_deaths",
            "Processes that ended without being told to",
            value=sum(slot.deaths for slot in self._slots),
        )
        own = {"supervisor": render(self._own).decode()}
        registry = CollectorRegistry()
        hangs = CounterMetricFamily(
            "replyco_relay_process_hangs",
            "Processes that did not answer their supervisor any more and were replaced",
            value=sum(slot.hangs for slot in self._slots),
        )
        registry.register(_Snapshot([running, deaths, hangs, *_merged(texts | own)]))
        return Answer(200, CONTENT_TYPE, render(registry))


_READY: Final = Answer(200, PLAIN_TEXT, b"ready\n")


def _merged(texts: dict[str, str]) -> Iterable[Metric]:
    """The metrics of all processes, each with the number of its process as a label, or `supervisor`."""
    families: dict[str, Metric] = {}
    for process, text in texts.items():
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += [
                Sample(sample.name, {"process": process, **sample.labels}, sample.value)
                for sample in family.samples
            ]
    return families.values()


class _Snapshot(Collector):
    """Metrics as they were a moment ago."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        return self._families
