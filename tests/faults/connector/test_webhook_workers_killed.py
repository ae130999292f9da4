"""Two workers carry events to webhooks, and one is killed in the middle of it: every event arrives."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.connector.webhook_kills import carried_through_kills

# `make soak` has 60 events and four kills.
EVENTS = 12
KILLS = 1


async def test_every_event_arrives_at_every_webhook_through_kills(
    database: Database, keys: Keys, tmp_path: Path
):
    carried = await carried_through_kills(database, keys, tmp_path, events=EVENTS, kills=KILLS)

    assert carried.events == EVENTS
    assert carried.is_right, carried
