"""What stands in the environment becomes settings."""

from ipaddress import ip_network

import pytest
from pydantic import SecretStr

from services.mailrelay.settings import MailWorkerSettings, RelaySettings
from shared.outgoing.smtp import SmtpServer
from shared.secure_defaults import unsafe
from shared.settings import SettingsWrong, load_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLYCO_DATABASE_URL", "postgresql://relay@localhost/replyco")
    monkeypatch.setenv("REPLYCO_MAIL_PUBLIC_KEY_FILE", "mail.pub")
    monkeypatch.setenv("REPLYCO_MAIL_PRIVATE_KEY_FILE", "mail.key")
    monkeypatch.setenv("REPLYCO_KEY_FILE", "accounts.key")


def test_networks_are_written_side_by_side(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_PROXY_PROTOCOL_FROM", "10.0.0.0/24, 2001:db8::/32 192.0.2.1")

    assert load_settings(RelaySettings).proxy_protocol_from == tuple(
        map(ip_network, ("10.0.0.0/24", "2001:db8::/32", "192.0.2.1/32"))
    )


def test_a_wrong_network_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_PROXY_PROTOCOL_FROM", "10.0.0.1/24")

    with pytest.raises(SettingsWrong, match=r"REPLYCO_PROXY_PROTOCOL_FROM.*such as 10\.0\.0\.0/24"):
        load_settings(RelaySettings)


@pytest.mark.parametrize(
    ("written", "servers"),
    [
        ("", ()),
        ("127.0.0.1:8053", (("127.0.0.1", 8053),)),
        ("192.0.2.53, 192.0.2.54", (("192.0.2.53", 53), ("192.0.2.54", 53))),
        (
            "2001:db8::53 [2001:db8::54]:5353 [2001:db8::55]",
            (("2001:db8::53", 53), ("2001:db8::54", 5353), ("2001:db8::55", 53)),
        ),
    ],
)
def test_name_servers_are_written_with_or_without_port(
    monkeypatch: pytest.MonkeyPatch, written: str, servers: tuple[tuple[str, int], ...]
):
    monkeypatch.setenv("REPLYCO_NAMESERVERS", written)

    found = load_settings(MailWorkerSettings).nameservers
    assert tuple((str(address), port) for address, port in found) == servers


@pytest.mark.parametrize(
    "written", ["dns.example", "192.0.2.53:0", "192.0.2.53:x", "192.0.2.53:70000", "1.2.3"]
)
def test_a_wrong_name_server_is_told_with_its_cure_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, written: str
):
    monkeypatch.setenv("REPLYCO_NAMESERVERS", written)

    with pytest.raises(SettingsWrong, match=r"REPLYCO_NAMESERVERS.*such as 192\.0\.2\.53 or 127") as wrong:
        load_settings(MailWorkerSettings)
    assert written not in str(wrong.value).replace("192.0.2.53 or", "")


def test_without_a_smarthost_none_is_made_up():
    assert load_settings(MailWorkerSettings).smarthost is None


def test_the_smarthost_is_what_the_settings_say(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "HOST": "smtp.example",
        "PORT": "465",
        "TLS": "tls",
        "USERNAME": "us",
        "PASSWORD": "canary",
    }.items():
        monkeypatch.setenv(f"REPLYCO_SMARTHOST_{name}", value)

    smarthost = load_settings(MailWorkerSettings).smarthost

    assert smarthost == SmtpServer("smtp.example", 465, "tls", "us", SecretStr("canary"))
    assert "canary" not in repr(smarthost)


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("HOST", "smtp.example/", "such as smtp.example"),
        ("PORT", "70000", "such as 587 or 465"),
        ("TLS", "ssl", "starttls, tls"),
        ("PASSWORD", "canary", "leave both unset"),
        ("USERNAME", "us", "leave both unset"),
        ("CONNECTIONS", "0", "such as 4"),
        ("MAILS_PER_SECOND", "0", "such as 14"),
    ],
)
def test_a_wrong_smarthost_is_told_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, cure: str
):
    monkeypatch.setenv(f"REPLYCO_SMARTHOST_{name}", value)

    with pytest.raises(SettingsWrong, match=cure) as wrong:
        load_settings(MailWorkerSettings)
    assert "canary" not in str(wrong.value)


@pytest.mark.parametrize(
    ("host", "is_safe"),
    [("127.0.0.1", True), ("localhost", True), ("10.0.0.1", False), ("smtp.example", False)],
)
def test_replies_go_unencrypted_to_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, host: str, is_safe: bool
):
    monkeypatch.setenv("REPLYCO_SMARTHOST_HOST", host)
    monkeypatch.setenv("REPLYCO_SMARTHOST_TLS", "none")

    broken = {rule.name for rule in unsafe(load_settings(MailWorkerSettings))}

    assert ("REPLYCO_SMARTHOST_TLS" not in broken) is is_safe
