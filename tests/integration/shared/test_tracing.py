"""Spans are off unless somebody wants them, and then hold nothing but what is named."""

import sys
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from shared import tracing
from shared.driver import new_id
from shared.settings import TracingSettings, load_settings
from shared.tracing import Steps, exporting, record, root_of, step, trace
from tests.otlp import collector


async def test_without_an_endpoint_nothing_is_written():
    async with exporting("tester", TracingSettings()):
        assert not tracing.is_on()
        with trace("whole", new_id(), began=0), step("part"):
            record("other", new_id(), began=0)
        Steps().record("steps", new_id())


async def test_only_what_is_named_and_looks_like_a_code_is_in_a_span():
    """# S: no value that nobody has thought of in a span"""
    of = new_id()
    async with collector() as taken, exporting("tester", TracingSettings(otlp_endpoint=taken.endpoint)):
        # A text, an address, a token's form, what is too long, and a name that is not known.
        for value in ("Guten Tag", "a@b.example", "Atza|canary", "x" * 41, "a/b"):
            record("mail", of, began=0, outcome=value)
        record("mail", of, began=0, subject="hello", outcome="stored", error="a text", mail_id=of, size=3)
        await_sent = taken
    told = [seen.facts for seen in await_sent.spans()]

    assert told == [{}] * 5 + [
        {
            "replyco.outcome": "stored",
            "replyco.mail_id": str(of),
            "replyco.size": 3,
            "error.type": "unexpected",
        }
    ]


async def test_an_exception_is_told_by_its_code_and_never_by_its_text():
    async with collector() as taken, exporting("tester", TracingSettings(otlp_endpoint=taken.endpoint)):
        with pytest.raises(ValueError, match="canary"), trace("whole", new_id(), began=0), step("part"):
            raise ValueError("canary")

    assert [seen.facts for seen in taken.spans()] == [{"error.type": "ValueError"}] * 2
    assert b"canary" not in b"".join(taken.bodies)


async def test_of_a_share_all_processes_write_the_same_traces():
    ids = [new_id() for _ in range(400)]
    chosen: list[set[UUID]] = []
    async with collector() as taken:
        for role in ("mailrelay", "mail-worker"):
            settings = TracingSettings(otlp_endpoint=taken.endpoint, traced_share=0.25)
            async with exporting(role, settings):
                chosen.append({of for of in ids if tracing.is_on(of)})

    assert chosen[0] == chosen[1]
    assert 50 <= len(chosen[0]) <= 150


async def test_a_package_that_is_missing_stops_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "shared.tracing_export", None)
    with capture_logs() as logs:
        async with exporting("tester", TracingSettings(otlp_endpoint="http://127.0.0.1:9")):
            assert not tracing.is_on()

    assert [entry["event"] for entry in logs] == ["tracing_not_installed"]


async def test_a_wrong_variable_of_opentelemetrys_stops_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    with capture_logs() as logs:
        async with exporting("tester", TracingSettings(otlp_endpoint="http://127.0.0.1:9")):
            assert not tracing.is_on()

    assert [entry["event"] for entry in logs] == ["tracing_not_begun"]


async def test_a_collector_that_is_away_is_said_once_by_its_event_alone():
    with capture_logs() as logs:
        async with exporting("tester", TracingSettings(otlp_endpoint="http://127.0.0.1:9")):
            record("mail", new_id(), began=0)

    assert [entry["event"] for entry in logs] == ["spans_not_taken"]
    assert not tracing.is_on()


def test_every_process_knows_the_first_span_of_a_trace():
    of = new_id()

    assert root_of(of) == root_of(UUID(str(of))) != root_of(new_id())
    assert 0 < root_of(of) < 2**64


def test_the_usual_variable_of_opentelemetry_is_understood(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")

    assert load_settings(TracingSettings).otlp_endpoint == "http://collector:4318"
