"""What every process tells of itself."""

import asyncio

from sqlalchemy import text

from services.mailrelay.process.aggregated_status import ProcessAggregator
from shared.clock import Clock
from shared.connection_metrics import show_database
from shared.database import create_engine
from shared.metrics import process_registry, render


def test_every_process_tells_its_memory_processor_time_and_open_files():
    shown = render(process_registry()).decode()

    for name in (
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
    ):
        assert f"\n{name} " in shown, name


async def test_the_relays_supervisor_tells_its_own_beside_its_childrens():
    answer = await ProcessAggregator([], asyncio.Event()).answer("/metrics")

    assert b'\nprocess_resident_memory_bytes{process="supervisor"} ' in answer.body
    assert b"\nreplyco_relay_processes 0.0\n" in answer.body
    assert b"\nreplyco_relay_process_deaths_total 0.0\n" in answer.body


async def test_connections_at_work_are_told_beside_how_many_there_may_be(database):
    registry = process_registry()
    engine = create_engine(database.url("replyco_connector"), application_name="tests", pool_size=3)
    show_database(registry, engine, Clock())

    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        assert registry.get_sample_value("replyco_database_connections_used") == 1
    assert registry.get_sample_value("replyco_database_connections_used") == 0
    assert registry.get_sample_value("replyco_database_connections_most") == 3
    await engine.dispose()
