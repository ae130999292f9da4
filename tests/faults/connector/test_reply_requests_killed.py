"""The connector is killed while replies are written through it: each key has one reply and one mail, with its file, and no draft is left."""

from pathlib import Path

from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.reply_request_kills import answered_though_killed

# `make soak` has 1,000 replies and 20 kills, and kills mail worker and PostgreSQL besides.
REPLIES = 12
KILLS = 1


async def test_each_key_has_one_reply_and_one_mail_though_the_connector_is_killed(
    database: Database, keys: Keys, keyring: Keyring, tmp_path: Path
):
    answered = await answered_though_killed(
        database, keys, keyring, tmp_path, replies=REPLIES, victims=["connector"] * KILLS
    )

    assert answered.interrupted > 0
    assert answered.is_right, answered
