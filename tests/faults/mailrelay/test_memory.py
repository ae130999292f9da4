"""A crowd costs the relay no more memory than it was given."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay.crowd import LargeMails, idle, make_room_for_connections, peak_mb
from tests.faults.mailrelay.load import ADDRESS, reachable, running, stored

MB = 1_048_576
BUDGET_MB = 256


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
    settings = {
        "memory_budget_bytes": str(BUDGET_MB * MB),
        "trusted_networks": "127.0.0.0/8",
        "commit_timeout_seconds": "30",
    }
    async with running(database, keys, tmp_path / "log", **settings) as relay:
        await reachable(relay)
        base = peak_mb(relay.accepting.pid)
        accepted: dict[str, str] = {}
        for says_size in (True, False):
            mails = LargeMails(
                relay.port, ADDRESS, size=20 * MB, says_size=says_size, name=f"large{says_size:d}"
            )
            await mails.deliver(50)

            assert peak_mb(relay.accepting.pid) < base + BUDGET_MB
            assert mails.accepted
            assert set(mails.codes) <= {"250", "452", "421"}
            assert sum(mails.codes.values()) == 50
            accepted |= mails.accepted
    assert await stored(database, keys) == dict.fromkeys(accepted.items(), 1)
