"""What each role of the product is set up with by the files in deploy/: its variables and its secrets, as the role would find them."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own
from pydantic_settings import BaseSettings

from services.connector.settings import ConnectorSettings
from services.mailrelay.settings import MailWorkerSettings, RelaySettings
from shared.settings import CommonSettings

ROOT: Final = Path(__file__).parents[3]
SYSTEMD: Final = ROOT / "deploy/systemd"
COMPOSE: Final = ROOT / "deploy/compose"

# The command that a role is started by, and the settings it reads.
SETTINGS: Final[Mapping[tuple[str, ...], type[BaseSettings]]] = {
    ("replyco-connector", "serve"): ConnectorSettings,
    ("replyco-connector", "worker"): ConnectorSettings,
    ("replyco-connector", "doctor"): ConnectorSettings,
    ("replyco-mailrelay", "serve"): RelaySettings,
    ("replyco-mailrelay", "worker"): MailWorkerSettings,
    ("replyco-mailrelay", "doctor", "serve"): RelaySettings,
    ("replyco-mailrelay", "doctor", "worker"): MailWorkerSettings,
    ("replyco-migrations", "upgrade"): CommonSettings,
}


class Role(NamedTuple):
    """A role as one of the ways to run the product sets it up."""

    name: str
    settings: type[BaseSettings]
    environment: dict[str, str]
    # Settings whose values come from files, by name.
    secrets: frozenset[str]


def systemd_roles() -> Iterator[Role]:
    """The units' roles, with the example files of settings."""
    for unit in sorted(SYSTEMD.glob("replyco-*.service")):
        text = unit.read_text("utf-8")
        command = re.search(r"^ExecStart=/opt/replyco/venv/bin/(\S+) (\S+)$", text, re.MULTILINE)
        if command is None:
            continue
        environment: dict[str, str] = {}
        for file in re.findall(r"^EnvironmentFile=/etc/replyco/(\S+)$", text, re.MULTILINE):
            environment |= variables((SYSTEMD / file).read_text("utf-8"))
        yield Role(unit.stem, SETTINGS[command[1], command[2]], environment, frozenset())


def variables(text: str) -> dict[str, str]:
    """The assignments of a file that systemd and a shell read alike."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


def commented_out(text: str) -> set[str]:
    """The variables that a file offers behind a comment sign."""
    return set(re.findall(r"^#([A-Z_]+)=", text, re.MULTILINE))


def compose_roles(*overrides: str) -> Iterator[Role]:
    """The compose file's roles, with the values of .env.example, all of which are set."""
    document = compose_document(*overrides)
    for name, service in document["services"].items():
        command = tuple(service.get("command", ()))
        if command not in SETTINGS:
            continue
        secrets = {
            secret["target"].upper()
            for secret in service.get("secrets", ())
            if isinstance(secret, dict) and secret["target"].startswith("replyco_")
        }
        environment = {key: str(value) for key, value in service.get("environment", {}).items()}
        yield Role(name, SETTINGS[command], environment, frozenset(secrets))


def compose_document(*overrides: str) -> dict[str, Any]:
    """The compose file with these beside it, as `docker compose` reads them."""
    offered = (COMPOSE / ".env.example").read_text("utf-8").replace("\n#", "\n")
    lines = (line for line in offered.splitlines() if re.match(r"[A-Z_]+=", line))
    values = dict(line.split("=", 1) for line in lines)

    def interpolated(text: str) -> str:
        return re.sub(
            r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}",
            lambda match: values.get(match[1], match[3] if match[2] == "-" else "") or "",
            text,
        )

    document: dict[str, Any] = yaml.safe_load(interpolated((COMPOSE / "compose.yaml").read_text("utf-8")))
    for override in overrides:
        for name, service in yaml.safe_load(interpolated((COMPOSE / override).read_text("utf-8")))[
            "services"
        ].items():
            into = document["services"].setdefault(name, {})
            into["environment"] = {**into.get("environment", {}), **service.get("environment", {})}
            into["secrets"] = [*into.get("secrets", []), *service.get("secrets", [])]
    return document
