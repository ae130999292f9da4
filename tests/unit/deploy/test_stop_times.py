"""Nobody kills a process before its stop has had the time that its settings give it."""

import re

import pytest
import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own

from services.connector.settings import ConnectorSettings
from services.mailrelay.settings import RelaySettings
from tests.unit.deploy.roles import COMPOSE, ROOT, SYSTEMD

# For answers on their way, or for a relay's process that has no mail any more, and for the interpreter's own end.
_REST_SECONDS = 20


def _longest_stop_seconds() -> float:
    """Of the defaults, which no file in deploy/ raises."""
    relay = RelaySettings.model_fields["shutdown_seconds"].get_default()
    drain = ConnectorSettings.model_construct().seconds_to_drain
    assert drain > 0
    return float(drain + relay + _REST_SECONDS)


@pytest.mark.parametrize("role", ["connector", "connector-worker", "relay", "mail-worker"])
def test_systemd_waits(role: str):
    text = (SYSTEMD / f"replyco-{role}.service").read_text("utf-8")
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)

    assert int(seconds) >= _longest_stop_seconds()
    # The supervisor alone is told, and tells its processes when it has drained.
    assert "\nKillMode=mixed\n" in text


def test_containers_wait():
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))["services"]
    waits = [
        service["stop_grace_period"]
        for service in services.values()
        if "replyco-" in str(service.get("command"))
    ]

    assert waits
    assert all(int(wait.removesuffix("s")) >= _longest_stop_seconds() for wait in waits)


def test_pods_wait():
    values = yaml.safe_load((ROOT / "deploy/helm/replyco/values.yaml").read_text("utf-8"))

    assert values["terminationGracePeriodSeconds"] >= _longest_stop_seconds()
