"""A thousand connections from one address: it gets its share, everybody else does not notice."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_right
from tests.faults.mailrelay.one_address import crowded_by_one

# `make soak` has five thousand.
CONNECTIONS = 1_000


async def test_all_but_its_share_are_told_to_come_later(database: Database, keys: Keys, tmp_path: Path):
    count = await crowded_by_one(database, keys, tmp_path, connections=CONNECTIONS)

    assert_right(f"{CONNECTIONS} connections from one address", count)
