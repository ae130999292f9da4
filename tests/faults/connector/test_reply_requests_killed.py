"""The connector is killed while replies are written through it: each key has one reply and one mail, with its file, and no draft is left."""

from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.reply_request_kills import answered_though_killed

# `make soak` has 1,000 replies, and kills mail worker and PostgreSQL besides.
REPLIES = 36
KILLS = 2


async def test_each_key_has_one_reply_and_one_mail_though_the_connector_is_killed(
    database: Database, keys: Keys, keyring: Keyring
):
    answered = await answered_though_killed(
        database, keys, keyring, replies=REPLIES, victims=["connector"] * KILLS
    )

    assert answered.interrupted > 0
    assert answered.is_right, answered
