"""The connector, the mail worker and a log to look through, together."""

from collections.abc import Iterator

import pytest

from tests.integration.connector.conftest import (
    account,
    api_key_client,
    app,
    new_client,
    nobody,
    settings,
    sign_in_as,
    signed_in,
    stream_bounds,
)
from tests.integration.mailrelay.delivery.conftest import delivery, delivery_metrics
from tests.logs import WrittenLog, log_written

__all__ = [
    "account",
    "api_key_client",
    "app",
    "delivery",
    "delivery_metrics",
    "new_client",
    "nobody",
    "settings",
    "sign_in_as",
    "signed_in",
    "stream_bounds",
]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[WrittenLog]:
    """Everything that is logged, at its most talkative."""
    with log_written(monkeypatch, level="DEBUG") as written:
        yield written
