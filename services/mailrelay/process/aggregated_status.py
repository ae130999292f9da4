"""What the side port tells: of all processes together."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from typing_extensions import override

from services.mailrelay.process.child_handle import AcceptingProcess
from services.mailrelay.process.control_channel import LineBroken
from shared.metrics import CONTENT_TYPE, render
from shared.side_port import NOT_FOUND, PLAIN_TEXT, Answer

# More than a process waits for its database.
_ANSWER_SECONDS: Final = 8.0
# Less than `trace` waits.
_TRACE_SECONDS: Final = 4.0
# What is asked of whichever process knows; nothing that could be mistaken for two questions.
_OF_ONE_PROCESS: Final = re.compile(r"/trace/[A-Za-z0-9._-]{1,100}")


class HasProcess(Protocol):
    """A place for a process, as far as it is told of here."""

    number: int
    deaths: int
    process: AcceptingProcess | None


class Whole:
    def __init__(self, places: Sequence[HasProcess]) -> None:
        self._places = places

    async def answer(self, path: str) -> Answer:
        """The side port's answer."""
        match path:
            case "/livez":
                return Answer(200, PLAIN_TEXT, b"ok\n")
            case "/readyz":
                return await self._readiness()
            case "/metrics":
                return await self._metrics()
            case _ if _OF_ONE_PROCESS.fullmatch(path):
                answers = await self._ask_all(path, timeout_seconds=_TRACE_SECONDS)
                return next((answer for answer in answers if answer and answer.status != 404), NOT_FOUND)
            case _:
                return NOT_FOUND

    async def _ask_all(self, path: str, *, timeout_seconds: float = _ANSWER_SECONDS) -> list[Answer | None]:
        """Every place's answer; None where no process answers."""

        async def ask(place: HasProcess) -> Answer | None:
            if place.process is None:
                return None
            try:
                return await place.process.line.ask(path, timeout_seconds=timeout_seconds)
            except LineBroken:
                return None

        return await asyncio.gather(*(ask(place) for place in self._places))

    async def _readiness(self) -> Answer:
        answers = await self._ask_all("/readyz")
        if None in answers:
            return Answer(503, PLAIN_TEXT, b"a process is being started\n")
        return next((answer for answer in answers if answer and answer.status != 200), _READY)

    async def _metrics(self) -> Answer:
        answers = await self._ask_all("/metrics")
        texts = {
            place.number: answer.body.decode()
            for place, answer in zip(self._places, answers, strict=True)
            if answer is not None
        }
        running = GaugeMetricFamily("replyco_relay_processes", "Processes that accept mail", value=len(texts))
        deaths = CounterMetricFamily(
            "replyco_relay_process_deaths",
            "Processes that ended without being told to",
            value=sum(place.deaths for place in self._places),
        )
        registry = CollectorRegistry()
        registry.register(_Collected([running, deaths, *_together(texts)]))
        return Answer(200, CONTENT_TYPE, render(registry))


_READY: Final = Answer(200, PLAIN_TEXT, b"ready\n")


def _together(texts: dict[int, str]) -> Iterable[Metric]:
    """The processes' metrics, each with the number of its process as a label."""
    families: dict[str, Metric] = {}
    for number, text in texts.items():
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += [
                Sample(sample.name, {"process": str(number), **sample.labels}, sample.value)
                for sample in family.samples
            ]
    return families.values()


class _Collected(Collector):
    """Metrics as they were a moment ago."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        return self._families
