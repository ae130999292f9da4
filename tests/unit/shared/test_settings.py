"""Wrong settings stop the start: all of them at once, each with its cure, none with its value."""

from pathlib import Path

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


def test_a_secret_is_read_from_its_file_unless_the_environment_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "replyco_database_url").write_text("postgresql://role@/replyco\n")
    (tmp_path / "replyco_client_secret").write_text("from a file\n")
    (tmp_path / "replyco_port").write_text("9000")
    monkeypatch.delenv("REPLYCO_DATABASE_URL", raising=False)
    monkeypatch.setenv("REPLYCO_SECRETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("REPLYCO_PORT", "7000")

    settings = load_settings(_Settings)

    assert settings.database_url.get_secret_value() == "postgresql://role@/replyco"
    assert settings.client_secret.get_secret_value() == "from a file"
    assert settings.port == 7000


def test_what_is_wrong_in_a_file_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "replyco_database_url").write_text("mysql://canary@host/db")
    (tmp_path / "replyco_client_secret").write_text("canary")
    monkeypatch.delenv("REPLYCO_DATABASE_URL", raising=False)
    monkeypatch.setenv("REPLYCO_SECRETS_FOLDER", str(tmp_path))

    with pytest.raises(SettingsWrong) as wrong:
        load_settings(_Settings)

    assert "REPLYCO_DATABASE_URL" in str(wrong.value)
    assert "REPLYCO_CLIENT_SECRET" in str(wrong.value)
    assert "canary" not in str(wrong.value)


# A name that is too long fails as a closed folder does, also for root.
@pytest.mark.parametrize("name", ["elsewhere", "x" * 300])
def test_a_folder_of_secrets_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
):
    monkeypatch.setenv("REPLYCO_SECRETS_FOLDER", str(tmp_path / name))

    with pytest.raises(SettingsWrong, match="REPLYCO_SECRETS_FOLDER: there is no such folder"):
        load_settings(_Settings)
