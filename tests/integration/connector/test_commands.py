"""The command line, as an operator meets it: plain words, exit codes, and real processes where starting or ending one is what counts."""

import asyncio
import json
import socket
import stat
import sys
from pathlib import Path

import pytest

from deploy.demo.postgres import CONNECTOR, OWNER
from tests.commands import run_here
from tests.conftest import Database, Keys

ROOT = Path(__file__).parents[3]
PASSWORD = "canary long password"


# `serve` once with each, in one process: to load it takes longer than to be told of a port.
_SERVE_WITH_EACH = """
import json, os, sys
from services.connector.__main__ import cli

for changed in json.loads(sys.argv.pop()):
    os.environ.update(changed)
    try:
        cli(["serve"])
    except SystemExit as ended:
        print("exit code", ended.code, flush=True)
"""


@pytest.fixture
def environment(database: Database, keys: Keys, tmp_path: Path) -> dict[str, str]:
    blobs = tmp_path / "large"
    blobs.mkdir()
    return {
        "REPLYCO_BLOB_URL": blobs.as_uri(),
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.test",
        "REPLYCO_AMAZON_CLIENT_ID": "client",
        "REPLYCO_AMAZON_CLIENT_SECRET": "canary-secret",
        "REPLYCO_ADMIN_PASSWORD": PASSWORD,
    }


async def test_all_wrong_settings_are_named_at_once_with_cures_and_without_values():
    code, output = await run_here(
        {"REPLYCO_PORT": "canary-port", "REPLYCO_DATABASE_URL": "mysql://canary"}, "serve"
    )

    assert code == 2
    for name in ("DATABASE_URL", "PORT", "KEY_FILE", "AMAZON_APPLICATION_ID", "AMAZON_CLIENT_SECRET"):
        assert f"REPLYCO_{name}: " in output
    assert "Set it to a free port for the REST API" in output
    assert "canary" not in output


async def test_what_is_not_safe_stops_the_start_and_development_is_named(
    environment: dict[str, str], keys: Keys, tmp_path: Path
):
    for_all_to_read = tmp_path / "keys.json"
    for_all_to_read.write_bytes(keys.key_file.read_bytes())
    for_all_to_read.chmod(0o644)
    unsafe = environment | {
        "REPLYCO_KEY_FILE": str(for_all_to_read),
        "REPLYCO_AMAZON_BASE_URL": "http://127.0.0.1:1",
    }
    refused = {
        command: await run_here(unsafe, *command.split()) for command in ("serve", "worker", "keys status")
    }
    doctors_word = (await run_here(unsafe, "doctor"))[1]
    while_developing = (await run_here(unsafe | {"REPLYCO_DEVELOPMENT": "true"}, "doctor"))[1]

    for command, (code, output) in refused.items():
        assert code == 2, command
        assert "REPLYCO_KEY_FILE: others than its owner may read this file" in output, command
        assert "REPLYCO_DEVELOPMENT=true" in output, command
    assert "REPLYCO_AMAZON_BASE_URL: " in refused["serve"][1]
    assert "WRONG    REPLYCO_KEY_FILE: " in doctors_word
    assert "warning  REPLYCO_DEVELOPMENT lets settings pass" in while_developing
    assert "warning  REPLYCO_KEY_FILE: " in while_developing


async def test_a_taken_port_is_named_with_its_setting(environment: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        served_with = [
            {"REPLYCO_PORT": port, "REPLYCO_SIDE_PORT": "0"},
            {"REPLYCO_PORT": "0", "REPLYCO_SIDE_PORT": port},
        ]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVE_WITH_EACH, json.dumps(served_with)),
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin"} | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(process.communicate(), 40))[0].decode()

    public, side, _ = output.split("exit code 2\n")
    assert f"Port {port} is taken. Set REPLYCO_PORT to a free one." in public
    assert f"Port {port} is taken. Set REPLYCO_SIDE_PORT to a free one." in side


def _modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_keys_are_private_and_never_overwritten(tmp_path: Path):
    first, _ = await run_here({}, "keys", "create", "--directory", str(tmp_path))
    before = (tmp_path / "account-keys.json").read_bytes()
    second, output = await run_here({}, "keys", "create", "--directory", str(tmp_path))

    assert (first, second) == (0, 2)
    assert "Nothing was written" in output
    assert (tmp_path / "account-keys.json").read_bytes() == before
    assert _modes(tmp_path) == {0o600}


async def test_an_account_is_made_once(environment: dict[str, str]):
    arguments = ("accounts", "create", "--name", "Lampenladen", "--admin-email", "anna@seller.example")

    first, made = await run_here(environment, *arguments, "--language", "de", "--time-zone", "Europe/Berlin")
    second, refused = await run_here(environment, *arguments)

    assert (first, second) == (0, 1)
    assert made.startswith("account ")
    assert "anna@seller.example signs in at" in made
    assert "sets up a second factor first of all" in made
    assert "signs in with this e-mail address already" in refused
    assert PASSWORD not in made + refused


async def test_the_doctor_names_every_fault(environment: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as amazon:
        url = {
            "REPLYCO_AMAZON_BASE_URL": f"http://127.0.0.1:{amazon.getsockname()[1]}",
            "REPLYCO_DEVELOPMENT": "true",
        }
        healthy, _ = await run_here(environment | url, "doctor")
    sick, output = await run_here(
        environment
        | {"REPLYCO_KEY_FILE": "/nothing", "REPLYCO_DATABASE_URL": "postgresql://x:canary@127.0.0.1:1/x"}
        | url,
        "doctor",
    )

    assert (healthy, sick) == (0, 1)
    assert output.count("WRONG") == 3
    assert "canary" not in output


async def test_the_doctor_looks_at_rights_large_mail_and_the_mail_server(
    environment: dict[str, str], database: Database, tmp_path: Path
):
    not_a_folder = tmp_path / "a file"
    not_a_folder.touch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        common = environment | {
            "REPLYCO_AMAZON_BASE_URL": f"http://127.0.0.1:{port}",
            "REPLYCO_DEVELOPMENT": "true",
        }
        _, healthy = await run_here(
            common | {"REPLYCO_NOTICE_SMTP_HOST": "127.0.0.1", "REPLYCO_NOTICE_SMTP_PORT": port}, "doctor"
        )
    _, sick = await run_here(
        common
        | {
            "REPLYCO_DATABASE_URL": database.url(OWNER),
            "REPLYCO_BLOB_URL": not_a_folder.as_uri(),
            "REPLYCO_NOTICE_SMTP_HOST": "127.0.0.1",
            "REPLYCO_NOTICE_SMTP_PORT": "1",
        },
        "doctor",
    )

    assert "WRONG" not in healthy
    assert healthy.count(f"127.0.0.1:{port} can be reached") == 2
    assert "may change the audit log" in sick
    assert f"{not_a_folder} is no folder" in sick
    assert "replyco_connector, the user of this role" in sick
    assert "127.0.0.1:1 cannot be reached" in sick
