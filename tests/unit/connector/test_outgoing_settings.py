"""What operators may say about the ways out."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.connector.settings import ConnectorSettings


def _settings(**values: str) -> ConnectorSettings:
    return ConnectorSettings(
        database_url=SecretStr("postgresql://x@localhost/x"),
        key_file=Path("/keys.json"),
        amazon_application_id="x",
        amazon_client_id="x",
        amazon_client_secret=SecretStr("x"),
        **values,  # type: ignore[arg-type]  # all of them are text
    )


def test_without_a_word_nothing_inside_is_reached_and_port_25_is_closed():
    """# S: port 25 only by operator's switch"""
    settings = _settings()

    assert settings.outgoing_allowed_networks == ""
    assert settings.smtp_ports == {465, 587, 2525}
    assert settings.webhook_ports == {443, 8443}


def test_an_operator_may_open_port_25():
    assert _settings(outgoing_smtp_ports="25, 587").smtp_ports == {25, 587}


def test_an_operator_may_name_other_ports_for_webhooks():
    assert _settings(outgoing_webhook_ports="443, 9443").webhook_ports == {443, 9443}
    assert 5432 in _settings(outgoing_webhook_ports="any").webhook_ports


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outgoing_allowed_networks", "10.0.0.1/8"),
        ("outgoing_allowed_networks", "inside"),
        ("outgoing_refused_networks", "10.0.0.0/8;fd00::/8"),
        ("outgoing_smtp_ports", ""),
        ("outgoing_smtp_ports", "587;465"),
        ("outgoing_smtp_ports", "smtp"),
        ("outgoing_webhook_ports", ""),
        ("outgoing_webhook_ports", "443-8443"),
        ("outgoing_webhook_ports", "any, 443"),
    ],
)
def test_what_cannot_be_meant_stops_the_start(name: str, value: str):
    with pytest.raises(ValidationError, match=name):
        _settings(**{name: value})
