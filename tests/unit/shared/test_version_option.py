"""Every command line tells its version, and still its commands."""

import pytest
import typer
from typer.testing import CliRunner

from migrations.__main__ import cli as migrations
from services.connector.__main__ import cli as connector
from services.mailrelay.__main__ import cli as mailrelay
from shared.version import version

CLIS = {"connector": connector, "mailrelay": mailrelay, "migrations": migrations}


@pytest.mark.parametrize("name", sorted(CLIS))
def test_the_version_is_told(name: str):
    cli: typer.Typer = CLIS[name]

    result = CliRunner().invoke(cli, ["--version"])

    assert (result.exit_code, result.output) == (0, f"{version()}\n")
    assert "--version" in CliRunner().invoke(cli, ["--help"]).output
