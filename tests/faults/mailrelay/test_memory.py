"""A crowd costs the relay no more memory than it was given."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay.crowd import idle, make_room_for_connections, peak_mb
from tests.faults.mailrelay.large_at_once import large_at_once
from tests.faults.mailrelay.load import reachable, running


async def test_a_thousand_idle_connections_stay_below_150_mb(database: Database, keys: Keys, tmp_path: Path):
    make_room_for_connections()
    async with running(database, keys, tmp_path / "log", network_connection_limit="1100") as relay:
        await reachable(relay)
        writers = await idle(relay.port, 1000)

        assert peak_mb(relay.accepting.pid) < 150
        for writer in writers:
            writer.close()


async def test_fifty_large_mails_at_once_stay_within_the_budget(
    database: Database, keys: Keys, tmp_path: Path
):
    """`make soak` has mails twice as large, and twice the budget."""
    large = await large_at_once(database, keys, tmp_path, megabytes=10, budget_mb=128)

    assert large.is_right, large
