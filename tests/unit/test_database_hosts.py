"""A database's URL may name several hosts, in each way in which PostgreSQL's own programs take them."""

import pytest

from shared.database import create_engine
from shared.driver import each_host

URLS = {
    "postgresql://role:pass@one/name": ["postgresql://role:pass@one/name"],
    "postgresql://role@/name?host=%2Frun%2Fone": ["postgresql://role@/name?host=%2Frun%2Fone"],
    "postgresql://role:p%40s@one:5432,two:5433/name?target_session_attrs=primary": [
        "postgresql://role:p%40s@one:5432/name?target_session_attrs=primary",
        "postgresql://role:p%40s@two:5433/name?target_session_attrs=primary",
    ],
    "postgresql://role@[::1]:5432,two/name": [
        "postgresql://role@[::1]:5432/name",
        "postgresql://role@two/name",
    ],
    "postgresql://role@/name?host=one,two": [
        "postgresql://role@/name?host=one",
        "postgresql://role@/name?host=two",
    ],
    "postgresql://role@/name?host=one,two&port=5433": [
        "postgresql://role@/name?host=one&port=5433",
        "postgresql://role@/name?host=two&port=5433",
    ],
    "postgresql://role@/name?host=%2Frun%2Fone,two&port=5432,5433": [
        "postgresql://role@/name?host=%2Frun%2Fone&port=5432",
        "postgresql://role@/name?host=two&port=5433",
    ],
}


@pytest.mark.parametrize("url", list(URLS))
async def test_each_host_is_reached_as_if_it_were_named_alone(url: str):
    assert each_host(url) == URLS[url]
    await create_engine(url, application_name="tests").dispose()
