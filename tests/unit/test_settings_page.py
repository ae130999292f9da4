"""docs/operations/settings.md names every setting that a class reads."""

from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings
from typer.testing import CliRunner

from services.connector.__main__ import cli as connector
from services.connector.command_settings import SETTINGS as CONNECTOR
from services.mailrelay.__main__ import SETTINGS as MAILRELAY
from services.mailrelay.__main__ import cli as mailrelay
from shared.settings_page import settings_section

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "settings.md"


def _subclasses(of: type[BaseSettings]) -> set[type[BaseSettings]]:
    return {of}.union(*(_subclasses(each) for each in of.__subclasses__()))


def test_the_page_is_what_the_classes_say():
    told = [CliRunner().invoke(cli, ["settings"]).output for cli in (connector, mailrelay)]

    assert PAGE.read_text() == "".join(told), "Settings have changed. Write the page anew: make api-docs"


def test_no_class_of_settings_is_left_out():
    read = [*CONNECTOR.values(), *MAILRELAY.values()]
    documented = {name for each in read for name in each.model_fields}
    ours = [
        each
        for each in _subclasses(BaseSettings)
        if each.__module__.startswith(("services.connector", "services.mailrelay", "shared"))
    ]

    assert [
        f"{each.__name__}.{name}" for each in ours for name in each.model_fields if name not in documented
    ] == []


def test_a_setting_without_a_description_is_refused():
    class Undescribed(BaseSettings):
        port: int = 25

    class Described(BaseSettings):
        wait_seconds: float = Field(1.5, description="how long to wait | at most")

    with pytest.raises(ValueError, match=r"Undescribed\.port has no description"):
        settings_section("Test", {"`serve`": Undescribed})
    assert (
        "| `REPLYCO_WAIT_SECONDS` | `1.5` | seconds | How long to wait \\| at most | `serve` |"
        in settings_section("Test", {"`serve`": Described})
    )
