"""PostgreSQL that is slow, or breaks off at the worst moment: between COMMIT and its answer."""

import math
from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay import proxy
from tests.faults.mailrelay.counting import assert_nothing_lost, assert_right
from tests.faults.mailrelay.faults import answers_lost, slowed
from tests.faults.mailrelay.load import Load, running

COMMIT_TIMEOUT_SECONDS = 3


async def test_a_mail_is_accepted_a_little_later(database: Database, keys: Keys, tmp_path: Path):
    count = await slowed(
        database,
        keys,
        tmp_path,
        delay_seconds=0.3,
        mails=40,
        # Far more than what is asked for a mail takes on the slowest machine.
        commit_timeout_seconds=60,
    )

    assert_right("PostgreSQL 0.3 s slower", count)


async def test_slower_than_a_mail_may_wait_means_451_in_time(database: Database, keys: Keys, tmp_path: Path):
    async with (
        proxy.before(database) as between,
        running(
            database,
            keys,
            tmp_path / "log",
            database_url=between.url,
            commit_timeout_seconds=str(COMMIT_TIMEOUT_SECONDS),
        ) as relay,
        Load(relay.port, clients=20) as load,
    ):
        await load.more("data 250", 20)
        # Whoever waited for PostgreSQL itself would never be answered.
        between.delay_seconds = math.inf
        # Every client's next mail. Whether a COMMIT that was on its way was carried out nobody knows.
        await load.more("data 451", 20)
        between.delay_seconds = 0
        await load.more("data 250", 40)

    await assert_nothing_lost("PostgreSQL too slow", database, keys, load)


async def test_a_commit_whose_answer_is_lost_is_no_250_and_no_second_message(
    database: Database, keys: Keys, tmp_path: Path
):
    count = await answers_lost(database, keys, tmp_path, times=5, clients=1)

    assert_right("answers to COMMIT lost", count)
    assert count.stored == count.accepted + 5
