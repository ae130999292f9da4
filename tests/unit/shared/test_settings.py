"""Wrong settings stop the start: all of them at once, each with its cure, none with its value."""

import pytest
from pydantic import Field, SecretStr

from shared.settings import CommonSettings, SettingsWrong, load_settings


class _Settings(CommonSettings):
    port: int = Field(8000, ge=1, le=65535, description="a free port, such as 8000")
    client_secret: SecretStr = Field(min_length=8, description="the client secret")


def test_every_wrong_setting_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_DATABASE_URL", "mysql://canary@host/db")
    monkeypatch.setenv("REPLYCO_PORT", "80000")
    monkeypatch.setenv("REPLYCO_CLIENT_SECRET", "canary")

    with pytest.raises(SettingsWrong) as wrong:
        load_settings(_Settings)

    text = str(wrong.value)
    assert "REPLYCO_DATABASE_URL" in text
    assert "such as postgresql://" in text
    assert "REPLYCO_PORT" in text
    assert "a free port, such as 8000" in text
    assert "REPLYCO_CLIENT_SECRET" in text
    assert "canary" not in text


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("REPLYCO_DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("REPLYCO_CLIENT_SECRET", "long enough")

    with pytest.raises(SettingsWrong) as wrong:
        load_settings(_Settings)

    assert "REPLYCO_DATABASE_URL" in str(wrong.value)


def test_the_plain_name_of_the_database_is_understood(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("REPLYCO_DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/db")
    monkeypatch.setenv("REPLYCO_CLIENT_SECRET", "long enough")

    assert load_settings(_Settings).database_url.get_secret_value() == "postgresql://host/db"
