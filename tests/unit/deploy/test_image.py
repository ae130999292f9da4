"""What the image is built of, as far as it can be seen without a builder, and how a container's health is found."""

import asyncio
import os
import re
import subprocess
import tomllib

import pytest
from prometheus_client import CollectorRegistry

from deploy.image.healthcheck import PORTS, check, port_of
from shared.settings import PREFIX
from shared.side_port import answering_on, health, open_listener
from tests.unit.deploy.roles import ROOT, SETTINGS

_CONTAINERFILE = (ROOT / "deploy/image/Containerfile").read_text("utf-8").replace("\\\n", " ")
_FIRST, _LAST = _CONTAINERFILE.split("\nFROM ")[1:]


def test_what_is_copied_is_there_and_sent_to_the_builder():
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", _CONTAINERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert set(copied) == sent


def test_the_last_stage_has_no_way_to_install_and_runs_as_nobody_of_the_system():
    assert "--require-hashes" in _FIRST
    assert "pip" not in re.sub(r"rm -rf [^\n]*", "", _LAST)
    assert re.findall(r"^USER (.+)$", _LAST, re.MULTILINE) == ["10001:10001"]
    assert "HEALTHCHECK" in _LAST
    assert _CONTAINERFILE.count("${BASE}\n") + _CONTAINERFILE.count("${BASE} AS build") == 2


def test_the_command_is_one_of_the_projects():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]

    assert re.findall(r'^CMD \["([a-z-]+)", "serve"\]$', _LAST, re.MULTILINE) == ["replyco-connector"]
    assert {command for command, *_ in [*PORTS, *SETTINGS]} == scripts.keys()


@pytest.mark.parametrize("base", ["", "docker.io/library/python:3.13-slim-trixie"])
def test_a_base_without_a_digest_is_refused(base: str):
    done = subprocess.run(
        [ROOT / "deploy/image/build.sh", "replyco:test"],
        env={"PATH": os.defpath, "BASE": base},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "Set BASE to a base image with its digest" in done.stderr


@pytest.mark.parametrize(
    ("command_line", "environment", "port"),
    [
        ("/opt/replyco/bin/python /opt/replyco/bin/replyco-connector serve", {}, 8002),
        ("replyco-connector worker", {}, 8001),
        ("/sbin/docker-init -- replyco-mailrelay serve", {}, 8025),
        ("replyco-mailrelay worker", {"REPLYCO_WORKER_PORT": "9000"}, 9000),
        ("replyco-migrations upgrade", {}, None),
        ("replyco-connector accounts list", {}, None),
        ("replyco-connector", {}, None),
        ("bash", {}, None),
    ],
)
def test_the_port_of_a_containers_role(command_line: str, environment: dict[str, str], port: int | None):
    assert port_of(command_line.split(), environment) == port


@pytest.mark.parametrize("role", sorted(PORTS))
def test_the_ports_are_those_of_the_settings(role: tuple[str, str]):
    setting, default = PORTS[role]

    field = SETTINGS[role].model_fields[setting.removeprefix(PREFIX).lower()]
    assert field.default == default


@pytest.mark.parametrize(("problem", "exit_code"), [(None, 0), ("keys are missing", 1)])
async def test_a_container_is_healthy_if_its_role_is_ready(
    problem: str | None, exit_code: int, capsys: pytest.CaptureFixture[str]
):
    listener = open_listener("127.0.0.1", 0, setting="none")
    port = listener.getsockname()[1]
    answers = health(CollectorRegistry(), _database_answers, problem=lambda: problem)

    async with answering_on(listener, answers):
        code = await _checked(port)

    assert code == exit_code
    assert (problem or "ready") in capsys.readouterr().out
    assert await _checked(port) == 1
    assert "does not answer" in capsys.readouterr().out


async def _database_answers() -> str | None:
    return None


async def _checked(port: int) -> int:
    return await asyncio.to_thread(
        check,
        ["replyco-connector", "serve"],
        {"REPLYCO_SIDE_PORT": str(port), "REPLYCO_SIDE_HOST": "0.0.0.0"},
    )
