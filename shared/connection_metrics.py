"""What a process knows of PostgreSQL, as metrics: how many of its connections are in use, and how far the clocks differ."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from typing_extensions import override

from shared.clock import Clock


class _Connections(Collector):
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @override
    def collect(self) -> Iterable[Metric]:
        # Asked each time: an engine that is disposed of gets another pool.
        pool = self._engine.sync_engine.pool
        if not isinstance(pool, QueuePool):
            return
        yield GaugeMetricFamily(
            "replyco_database_connections_used",
            "Connections to PostgreSQL that are at work",
            value=pool.checkedout(),
        )
        yield GaugeMetricFamily(
            "replyco_database_connections_most",
            "Connections to PostgreSQL that this process may have",
            value=pool.size(),
        )


def show_database(registry: CollectorRegistry, engine: AsyncEngine, clock: Clock) -> None:
    """Whoever wants one more connection than there may be waits, and in the end fails: the metrics tell before."""
    registry.register(_Connections(engine))
    Gauge(
        "replyco_clock_difference_seconds",
        "How far this machine's clock is ahead of PostgreSQL's; NaN while that is not known",
        registry=registry,
    ).set_function(clock.seconds_ahead)
