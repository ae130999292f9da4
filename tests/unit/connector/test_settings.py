"""Settings that belong together."""

import pytest

from services.connector.settings import ConnectorSettings
from shared.settings import SettingsWrong, load_settings

_NEEDED = {
    "DATABASE_URL": "postgresql://x@localhost/x",
    "REPLYCO_KEY_FILE": "/keys.json",
    "REPLYCO_AMAZON_APPLICATION_ID": "x",
    "REPLYCO_AMAZON_CLIENT_ID": "x",
    "REPLYCO_AMAZON_CLIENT_SECRET": "x",
}
_QUEUE = {
    "REPLYCO_AMAZON_NOTICE_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/notices",
    "REPLYCO_AMAZON_NOTICE_QUEUE_REGION": "eu-central-1",
    "REPLYCO_AMAZON_NOTICE_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "REPLYCO_AMAZON_NOTICE_SECRET_ACCESS_KEY": "canary",
}


def _load(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> ConnectorSettings:
    for name, value in (_NEEDED | values).items():
        monkeypatch.setenv(name, value)
    return load_settings(ConnectorSettings)


def test_without_a_queue_amazons_notices_are_read_by_hand(monkeypatch: pytest.MonkeyPatch):
    assert _load(monkeypatch, {}).amazon_notice_queue_url is None


def test_a_queue_has_a_region_and_a_key(monkeypatch: pytest.MonkeyPatch):
    assert "canary" not in repr(_load(monkeypatch, _QUEUE))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REPLYCO_AMAZON_NOTICE_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/notices"),
        ("REPLYCO_AMAZON_NOTICE_QUEUE_URL", "notices"),
        ("REPLYCO_AMAZON_NOTICE_QUEUE_REGION", "Frankfurt am Main"),
        ("REPLYCO_AMAZON_NOTICE_QUEUE_REGION", None),
        ("REPLYCO_AMAZON_NOTICE_ACCESS_KEY_ID", None),
        ("REPLYCO_AMAZON_NOTICE_SECRET_ACCESS_KEY", None),
    ],
)
def test_a_wrong_or_missing_part_of_the_queue_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
):
    values = {each: text for each, text in (_QUEUE | {name: value}).items() if text is not None}

    with pytest.raises(SettingsWrong) as wrong:
        _load(monkeypatch, values)

    assert str(wrong.value).count(". Set it to ") == 1
    assert name in str(wrong.value)
    assert "canary" not in str(wrong.value)


@pytest.mark.parametrize(
    ("public_url", "proxies", "believed"),
    [
        ("https://app.example", "10.0.0.5, 2001:db8::/64", ["10.0.0.5/32", "2001:db8::/64"]),
        ("https://app.example", "none", []),
        ("https://app.example", " None ", []),
        ("http://localhost:8000", "", []),
        ("http://localhost:8000", "10.0.0.5", ["10.0.0.5/32"]),
    ],
)
def test_behind_https_somebody_says_who_tells_a_clients_address(
    monkeypatch: pytest.MonkeyPatch, public_url: str, proxies: str, believed: list[str]
):
    settings = _load(monkeypatch, {"REPLYCO_PUBLIC_URL": public_url, "REPLYCO_TRUSTED_PROXIES": proxies})

    assert [str(proxy) for proxy in settings.proxies] == believed


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("", []),
        (
            "https://helpdesk.example, http://localhost:3000",
            ["https://helpdesk.example", "http://localhost:3000"],
        ),
    ],
)
def test_other_frontends_are_named_by_their_origins(
    monkeypatch: pytest.MonkeyPatch, given: str, origins: list[str]
):
    assert _load(monkeypatch, {"REPLYCO_FRONTEND_ORIGINS": given}).origins == origins


@pytest.mark.parametrize(
    "given",
    ["*", "null", "helpdesk.example", "http://helpdesk.example", "https://helpdesk.example/", "https://helpdesk.example/app",
     "https://somebody@helpdesk.example", "https://helpdesk.example,*", "https://*.helpdesk.example"],
)  # fmt: skip
def test_what_is_no_origin_does_not_start(monkeypatch: pytest.MonkeyPatch, given: str):
    with pytest.raises(SettingsWrong, match="REPLYCO_FRONTEND_ORIGINS"):
        _load(monkeypatch, {"REPLYCO_FRONTEND_ORIGINS": given})


@pytest.mark.parametrize(
    "proxies", [None, "", "  ", "0.0.0.0/0", "10.0.0.5, ::/0", "proxy.example", "10.0.0.5/8", "*", "no"]
)
def test_nobody_starts_without_knowing_whom_to_believe(monkeypatch: pytest.MonkeyPatch, proxies: str | None):
    values = {"REPLYCO_PUBLIC_URL": "https://app.example"}
    if proxies is not None:
        values["REPLYCO_TRUSTED_PROXIES"] = proxies

    with pytest.raises(SettingsWrong, match=r"REPLYCO_TRUSTED_PROXIES.* Set it to none if no proxy tells it"):
        _load(monkeypatch, values)


def test_streams_leave_room_for_other_connections(monkeypatch: pytest.MonkeyPatch):
    few, many = (
        _load(monkeypatch, {"REPLYCO_CONNECTIONS": connections}).stream_bounds.most_streams
        for connections in ("1000", "20000")
    )

    assert (few, many) == (750, 5000)


@pytest.mark.parametrize("contact", ["help@example.com", "https://example.com/help?from=app"])
def test_people_may_be_sent_to_an_address_or_a_page_for_help(monkeypatch: pytest.MonkeyPatch, contact: str):
    assert _load(monkeypatch, {"REPLYCO_SUPPORT_CONTACT": contact}).support_contact == contact


@pytest.mark.parametrize(
    "contact",
    [
        "http://example.com/help",
        "help",
        "mailto:help@example.com",
        "javascript:alert(1)",
        "a@b.example?cc=c@d.example",
    ],
)
def test_nothing_else_is_a_place_for_help(monkeypatch: pytest.MonkeyPatch, contact: str):
    with pytest.raises(SettingsWrong, match="REPLYCO_SUPPORT_CONTACT"):
        _load(monkeypatch, {"REPLYCO_SUPPORT_CONTACT": contact})
