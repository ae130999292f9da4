"""Who sends replies is killed, and so is PostgreSQL: none is lost, none is twice at the peer, and what is in doubt says so."""

from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.mailrelay.reply_kills import replied_though_killed

# `make soak` kills thirty times over 1,000 replies, and two senders finish at once.
REPLIES = 60
KILLS = 1


async def test_each_reply_arrives_once_or_is_in_doubt_though_all_are_killed(
    own_database: Database, keys: Keys, keyring: Keyring
):
    sent = await replied_though_killed(own_database, keys, keyring, replies=REPLIES, kills=KILLS, finishers=1)

    assert sent.is_right, sent
