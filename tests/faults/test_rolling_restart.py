"""A rolling restart behind a balancer: no request fails, no mail is refused, nothing is lost or there twice."""

from pathlib import Path

import pytest

from tests.conftest import Database, Keys
from tests.faults.rolling import rolled


@pytest.mark.timeout(300)
async def test_replicas_are_replaced_under_load_and_nobody_notices(
    database: Database, keys: Keys, tmp_path: Path
):
    """One replica of each role that others connect to; `make soak` replaces every replica of every role, under more load."""
    count = await rolled(
        database,
        keys,
        tmp_path,
        roles=("connector", "relay"),
        replaced_each=1,
        mails_between=8,
        pause_seconds=1,
    )

    print(count)  # noqa: T201 - the counts are what this is for
    assert count.is_right, count
