"""Relay, worker and PostgreSQL are killed in turn while mail comes in. `make soak` does the same for longer."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_right
from tests.faults.mailrelay.kills import mixed, survived, told


async def test_whatever_is_killed_nothing_is_lost_and_nothing_is_shown_twice(
    own_database: Database, keys: Keys, tmp_path: Path
):
    victims = mixed(3)

    assert_right(
        f"killed {told(victims)}", await survived(own_database, keys, tmp_path, victims, pause_seconds=0.2)
    )
