"""What stands in the environment becomes settings."""

from ipaddress import ip_network

import pytest

from services.mailrelay.settings import RelaySettings
from shared.settings import SettingsWrong, load_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLYCO_DATABASE_URL", "postgresql://relay@localhost/replyco")
    monkeypatch.setenv("REPLYCO_MAIL_PUBLIC_KEY_FILE", "mail.pub")


def test_networks_are_written_side_by_side(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_PROXY_PROTOCOL_FROM", "10.0.0.0/24, 2001:db8::/32 192.0.2.1")

    assert load_settings(RelaySettings).proxy_protocol_from == tuple(
        map(ip_network, ("10.0.0.0/24", "2001:db8::/32", "192.0.2.1/32"))
    )


def test_a_wrong_network_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_PROXY_PROTOCOL_FROM", "10.0.0.1/24")

    with pytest.raises(SettingsWrong, match=r"REPLYCO_PROXY_PROTOCOL_FROM.*such as 10\.0\.0\.0/24"):
        load_settings(RelaySettings)
