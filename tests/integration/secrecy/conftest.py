"""The connector, the mail worker and a log to look through, together."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.logging import configure_logging
from tests.integration.connector.conftest import (
    account,
    api_key_client,
    app,
    new_client,
    nobody,
    settings,
    sign_in_as,
    signed_in,
)
from tests.integration.mailrelay.delivery.conftest import delivery, parser

__all__ = [
    "account",
    "api_key_client",
    "app",
    "delivery",
    "new_client",
    "nobody",
    "parser",
    "settings",
    "sign_in_as",
    "signed_in",
]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, in the form and with the levels of a real process, at its most talkative."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    configure_logging("tester", level="DEBUG")
    # The next test has an output of its own.
    structlog.configure(cache_logger_on_first_use=False)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
