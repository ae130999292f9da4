"""Every operation of the API's description, tried by schemathesis with all of its checks as each kind of caller: no findings."""

from pathlib import Path

import pytest

from tests.conftest import Database, Keys
from tests.integration.connector.described.callers import Kind
from tests.integration.connector.described.trying import served, tried

# The one who may do everything tries every boundary of every field that is allowed; the others, what is not allowed, and whether
# they are let in. `make soak` tries everything as each of them, with thirty examples an operation.
BOUNDARIES = ("--phases=coverage,stateful", "--mode=positive", "--max-examples=3")
SOME = ("--phases=examples,fuzzing", "--max-examples=1")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
async def test_the_api_is_as_it_is_described(kind: Kind, database: Database, keys: Keys, tmp_path: Path):
    async with served(database, keys) as connector:
        effort = BOUNDARIES if kind is Kind.ADMIN else SOME
        findings = await tried(connector, kind, tmp_path, "--generation-deterministic", *effort)

    assert not findings, findings
