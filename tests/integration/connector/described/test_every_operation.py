"""Every operation of the API's description, tried by schemathesis with all of its checks as each kind of caller: no findings."""

from pathlib import Path

import pytest

from services.connector.http.paths import API_PREFIX
from tests.conftest import Database, Keys
from tests.integration.connector.described.callers import Kind
from tests.integration.connector.described.trying import served, tried

# The one who may do everything tries every boundary of every field that is allowed. One of a key tries an example of every operation,
# allowed or not, and each without the key; one of a session, who may read less than the key, tries what is read. `make soak` tries
# everything as every kind of caller, with thirty examples an operation, and one operation after another; whom each operation lets in is
# tests/integration/connector/test_permissions.py's.
_SOME = ("--phases=examples,fuzzing", "--max-examples=1")
EFFORTS = {
    Kind.ADMIN: ("--phases=coverage", "--mode=positive", "--max-examples=3", "--exclude-checks=ignored_auth"),
    Kind.AGENT: ("--include-method=GET", *_SOME),
    Kind.VIEW_KEY: _SOME,
}
# Nobody guesses a password, a code, or what a passkey signs. Everything else has to let the admin in: without a session nothing would be
# found, either.
NEEDS_WHAT_ONE_KNOWS = {
    f"POST {API_PREFIX}/sessions",
    f"POST {API_PREFIX}/sessions/current/confirm",
    f"POST {API_PREFIX}/sessions/passkey",
    f"POST {API_PREFIX}/sessions/second-step",
    f"PUT {API_PREFIX}/me/authenticator",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", EFFORTS, ids=lambda kind: kind.name.lower())
async def test_the_api_is_as_it_is_described(kind: Kind, database: Database, keys: Keys, tmp_path: Path):
    async with served(database, keys) as connector:
        findings = await tried(
            connector,
            kind,
            tmp_path,
            "--generation-deterministic",
            *EFFORTS[kind],
            # To end one's own session asks for no right: an agent would be answered as the admin is.
            ends_himself=kind is Kind.ADMIN,
        )

    assert not findings, findings
    if kind is Kind.ADMIN:
        assert {
            operation for operation, answers in connector.answers.items() if answers.keys() <= {401, 403}
        } <= NEEDS_WHAT_ONE_KNOWS
