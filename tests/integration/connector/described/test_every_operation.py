"""Every operation of the API's description, tried by schemathesis with all of its checks as each kind of caller: no findings."""

from pathlib import Path

import pytest

from tests.conftest import Database, Keys
from tests.integration.connector.described.callers import Kind
from tests.integration.connector.described.trying import served, tried

# The one who may do everything tries every boundary of every field that is allowed; one of a session without rights and one of a key
# try what is not allowed, and whether they are let in. `make soak` tries everything as every kind of caller, with thirty examples
# an operation; whom each operation lets in is tests/integration/connector/test_permissions.py's.
BOUNDARIES = ("--phases=coverage,stateful", "--mode=positive", "--max-examples=3")
SOME = ("--phases=examples,fuzzing", "--max-examples=1")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [Kind.ADMIN, Kind.AGENT, Kind.VIEW_KEY], ids=lambda kind: kind.name.lower())
async def test_the_api_is_as_it_is_described(kind: Kind, database: Database, keys: Keys, tmp_path: Path):
    async with served(database, keys) as connector:
        effort = BOUNDARIES if kind is Kind.ADMIN else SOME
        findings = await tried(
            connector,
            kind,
            tmp_path,
            "--generation-deterministic",
            *effort,
            # To end one's own session asks for no right: an agent would be answered as the admin is.
            ends_himself=kind is Kind.ADMIN,
        )

    assert not findings, findings
