"""What `doctor` reads out of the settings alone, before Amazon's pages answer with MD codes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.connector.doctor.findings import end_of_client_secret, settings_findings
from services.connector.settings import ConnectorSettings
from shared.doctor.findings import Severity

_RIGHT = {
    "public_url": "https://app.example",
    "trusted_proxies": "10.0.0.5",
    "amazon_application_id": "amzn1.sp.solution.11111111-2222-3333-4444-555555555555",
    "amazon_client_id": "amzn1.application-oa2-client." + "a" * 32,
    "notice_smtp_host": "smtp.example",
}


def _verdicts(**changes: str) -> list[tuple[Severity, str]]:
    settings = ConnectorSettings(
        database_url=SecretStr("postgresql://x@localhost/x"),
        key_file=Path("/keys.json"),
        blob_url="file:///blobs",
        amazon_client_secret=SecretStr("canary"),
        **(_RIGHT | changes),  # type: ignore[arg-type]  # all of them are text
    )
    return [(finding.severity, finding.text) for finding in settings_findings(settings)]


def test_right_settings_only_leave_what_to_register_and_what_others_know():
    assert [severity for severity, _ in _verdicts()] == [Severity.OK] * 4 + [Severity.NOTE] * 2
    assert "https://app.example/amazon/callback" in _verdicts()[-2][1]
    assert "https://app.example/amazon/login" in _verdicts()[-2][1]
    assert "Whether replies from replyco.email are signed" in _verdicts()[-1][1]


@pytest.mark.parametrize(
    ("setting", "value", "cure"),
    [
        ("amazon_application_id", _RIGHT["amazon_client_id"], "MD1000"),
        ("amazon_application_id", "amzn1.sp.solution.", "Solution Provider Portal"),
        ("amazon_client_id", _RIGHT["amazon_application_id"], "LWA credentials"),
        ("public_url", "http://localhost:8000", "address on the internet"),
        ("public_url", "https://127.0.0.1", "address on the internet"),
    ],
)
def test_what_amazon_would_refuse_is_named_with_its_cure(setting: str, value: str, cure: str):
    found = [text for severity, text in _verdicts(**{setting: value}) if severity is Severity.WRONG]

    assert len(found) == 1
    assert cure in found[0]
    assert f"REPLYCO_{setting.upper()}" in found[0]


@pytest.mark.parametrize(
    ("proxies", "severity", "told"),
    [("10.0.0.5", Severity.OK, "10.0.0.5/32"), ("none", Severity.WARNING, "REPLYCO_TRUSTED_PROXIES is none")],
)
def test_who_is_believed_about_a_clients_address_is_said(proxies: str, severity: Severity, told: str):
    found = [
        (each, text)
        for each, text in _verdicts(trusted_proxies=proxies)
        if "address" in text and told in text
    ]

    assert [each for each, _ in found] == [severity]


def test_the_older_form_of_an_application_id_is_right_too():
    old = "amzn1.sellerapps.app.11111111-2222-3333-4444-555555555555"

    assert all(severity is not Severity.WRONG for severity, _ in _verdicts(amazon_application_id=old))


def test_the_sandbox_is_named_as_such():
    assert [severity for severity, _ in _verdicts(amazon_base_url="http://localhost:8090")] == [Severity.NOTE]


def test_a_client_secret_from_before_a_rotation_is_mentioned():
    found = _verdicts(amazon_client_secret_previous="canary-before")

    assert [severity for severity, text in found if "REPLYCO_AMAZON_CLIENT_SECRET_PREVIOUS" in text] == [
        Severity.NOTE
    ]
    assert not [text for _, text in found if "canary" in text]


def test_networks_that_are_open_to_sellers_are_mentioned():
    found = _verdicts(outgoing_allowed_networks="127.0.0.0/8")

    assert [severity for severity, text in found if "REPLYCO_OUTGOING_ALLOWED_NETWORKS" in text] == [
        Severity.NOTE
    ]


def test_mails_to_sellers_that_wait_for_a_server_are_mentioned():
    without = {**_RIGHT, "notice_smtp_host": None}
    settings = ConnectorSettings(
        database_url=SecretStr("postgresql://x@localhost/x"),
        key_file=Path("/keys.json"),
        blob_url="file:///blobs",
        amazon_client_secret=SecretStr("canary"),
        **without,  # type: ignore[arg-type]  # all of them are text
    )

    assert any("REPLYCO_NOTICE_SMTP_HOST" in finding.text for finding in settings_findings(settings))


@pytest.mark.parametrize(
    ("days", "severity"),
    [
        (None, Severity.NOTE),
        (91, Severity.OK),
        (89, Severity.NOTE),
        (31, Severity.NOTE),
        (29, Severity.WARNING),
        (8, Severity.WARNING),
        (6, Severity.WRONG),
        (-1, Severity.WRONG),
    ],
)
def test_the_nearer_the_end_of_the_client_secret_the_louder(days: int | None, severity: Severity):
    now = datetime.now(UTC)

    found = end_of_client_secret(None if days is None else now + timedelta(days=days), now)

    assert found.severity is severity
