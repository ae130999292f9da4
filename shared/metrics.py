"""Metrics for Prometheus. Every label has a closed set of values, never an address, a name or an id."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from typing_extensions import override

from shared.logging import lost_lines
from shared.version import version

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _LostLines(Collector):
    @override
    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "replyco_log_lines_lost",
            "Log lines that were not written, because nobody read them in time or there was no room",
            value=lost_lines(),
        )


def process_registry() -> CollectorRegistry:
    """The metrics of one process, with those that every process has."""
    registry = CollectorRegistry()
    registry.register(_LostLines())
    build = Gauge("replyco_build_info", "1, with the version of the code", ["version"], registry=registry)
    build.labels(version()).set(1)
    # process_*: processor time, memory, open files, when it began.
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The text that `/metrics` answers."""
    return generate_latest(registry)
