"""A callback is one trace from the browser to the stored grant, and the trace tells no secret and no store."""

from uuid import UUID

from services.connector.authorization.api import BROWSER_COOKIE
from shared.settings import TracingSettings
from shared.tracing import exporting
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    CANARY_SECRET,
    LAMPENLADEN,
    Amazon,
    arrive,
    begin,
    consent,
    query_of,
)
from tests.otlp import Seen, collector


async def traced_callback(
    signed_in: SignedIn, amazon: Amazon, *, breaks: bool = False
) -> tuple[UUID, list[Seen], bytes, set[str]]:
    """The attempt, its spans, what was sent, and what must not be in it."""
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)
    parameters = query_of(callback_url)
    canaries = {
        CANARY_SECRET,
        LAMPENLADEN,
        "Lampenladen",
        parameters["state"],
        parameters["spapi_oauth_code"],
    }
    if breaks:
        amazon.fail_tokens(400, f'{{"error": "invalid_grant", "error_description": "{LAMPENLADEN}"}}')
    async with (
        collector() as taken,
        exporting("connector", TracingSettings(otlp_endpoint=taken.endpoint)),
    ):
        assert (await arrive(signed_in.client, callback_url)).status_code == 303
        # A second callback shows the first one's outcome: nothing is done, and nothing told.
        await arrive(signed_in.client, callback_url)
    canaries |= {signed_in.client.cookies[BROWSER_COOKIE], signed_in.token, signed_in.user.email}
    canaries |= set(amazon.state.access_tokens) | set(amazon.state.refresh_tokens)
    return UUID(attempt["id"]), taken.spans(), b"".join(taken.bodies), canaries


def assert_is_one_trace(spans: list[Seen], attempt_id: UUID) -> None:
    """The whole is written last, and the steps are below it."""
    root = spans[-1]
    assert (root.name, root.span.parent_span_id) == ("connect store", b"")
    assert {seen.span.trace_id for seen in spans} == {attempt_id.bytes}
    assert {seen.span.parent_span_id for seen in spans[:-1]} == {root.span.span_id}
    assert all(seen.span.start_time_unix_nano >= root.span.start_time_unix_nano for seen in spans)


async def test_a_callback_is_one_trace_with_the_attempts_id(signed_in: SignedIn, amazon: Amazon):
    attempt_id, spans, _, _ = await traced_callback(signed_in, amazon)

    assert [seen.name for seen in spans] == [
        "exchange code",
        "ask for countries",
        "store grant",
        "connect store",
    ]
    assert_is_one_trace(spans, attempt_id)
    assert not any(seen.is_error for seen in spans)
    assert spans[-1].facts == {
        "replyco.attempt_id": str(attempt_id),
        "replyco.account_id": str(signed_in.account.id),
        "replyco.region": "eu",
    }


async def test_a_callback_that_fails_says_where_and_by_which_code(signed_in: SignedIn, amazon: Amazon):
    attempt_id, spans, _, _ = await traced_callback(signed_in, amazon, breaks=True)

    assert [(seen.name, seen.is_error) for seen in spans] == [
        ("exchange code", True),
        ("store failure", False),
        ("connect store", False),
    ]
    assert_is_one_trace(spans, attempt_id)
    assert spans[0].facts == {"error.type": "code_rejected"}
    assert spans[1].facts == {"replyco.outcome": "code_rejected"}


async def test_no_secret_and_no_store_is_in_a_span(signed_in: SignedIn, amazon: Amazon):
    """# S: no token, code or state in a span"""
    for breaks in (False, True):
        _, spans, sent, canaries = await traced_callback(signed_in, amazon, breaks=breaks)

        assert spans
        assert len(canaries) >= 8
        for canary in canaries:
            assert canary.encode() not in sent, canary
