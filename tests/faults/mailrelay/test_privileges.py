"""Started as root, the relay is somebody without rights before it says a word to a client."""

import asyncio
import contextlib
import json
import os
import pwd
import re
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from deploy.demo.postgres import RELAY
from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.faults.mailrelay.load import ADDRESS, running
from tests.integration.mailrelay.accepting import connect, stored_mails
from tests.other_users import ENVIRONMENT, interpreter_for, needs_root
from tests.processes import command, whole_lines

pytestmark = needs_root

USER = "nobody"


@pytest.fixture(scope="module")
def open_keys(scratch: Path) -> Keys:
    """Keys of which anybody may read the public one."""
    scratch.chmod(0o711)
    folder = scratch / "for-everybody"
    folder.mkdir()
    folder.chmod(0o755)
    keys = Keys.make(folder)
    keys.mail_public_key_file.chmod(0o644)
    keys.blob_folder.mkdir()
    return keys


@pytest.fixture
def files(open_keys: Keys) -> dict[str, str]:
    """What the relay needs, where the user may use it."""
    os.chown(open_keys.blob_folder, pwd.getpwnam(USER).pw_uid, -1)
    key = str(open_keys.mail_public_key_file)
    return {"mail_public_key_file": key, "blob_url": open_keys.blob_url, "run_as": USER}


@pytest.fixture
async def address(sessions: Sessions, keyring: Keyring) -> None:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")


def identity(process: psutil.Process) -> dict[str, list[str]]:
    status = Path(f"/proc/{process.pid}/status").read_text()
    wanted = ("Uid", "Gid", "Groups", "NoNewPrivs", "CapPrm", "CapEff")
    lines = (line.partition(":") for line in status.splitlines())
    return {name: value.split() for name, _, value in lines if name in wanted}


@pytest.fixture(scope="module")
def interpreter() -> str:
    return interpreter_for(USER, "services.mailrelay.process.child")


@contextlib.asynccontextmanager
async def started(
    interpreter: str, database: Database, folder: Path, files: dict[str, str], **settings: str
) -> AsyncIterator[tuple[int, psutil.Process, psutil.Process]]:
    """The port, the supervisor and the process that accepts; stopped at the end."""
    # Whoever becomes root has root's home, which is closed to others.
    home = folder / "root"
    home.mkdir(mode=0o700)
    values = {
        "smtp_port": "0",
        "side_port": "0",
        "database_url": database.url(RELAY),
        "development": "true",
        "tls_required": "false",
    }
    values |= files | settings
    with (folder / "log").open("wb") as log:
        relay = await asyncio.create_subprocess_exec(
            *[interpreter, *command("services.mailrelay", "serve")[1:]],
            env=ENVIRONMENT
            | {"HOME": str(home)}
            | {f"REPLYCO_{name.upper()}": value for name, value in values.items()},
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    await until_said(folder / "log", "relay_ready")
    # A database that is out of the user's reach is told of first.
    [ready] = [json.loads(line) for line in whole_lines(folder / "log").splitlines() if "relay_ready" in line]
    supervisor = psutil.Process(relay.pid)
    [accepting] = supervisor.children()
    yield ready["smtp_port"], supervisor, accepting
    relay.terminate()
    assert await relay.wait() == 0


async def test_every_process_runs_as_the_user_and_cannot_come_back(
    database: Database, tmp_path: Path, files: dict[str, str], interpreter: str
):
    user = pwd.getpwnam(USER)
    async with started(interpreter, database, tmp_path, files) as (port, supervisor, accepting):
        for process in (supervisor, accepting):
            told = identity(process)
            assert set(told["Uid"]) == {str(user.pw_uid)}
            assert set(told["Gid"]) == {str(user.pw_gid)}
            assert "0" not in told["Groups"]
            assert {int(told[name][0], 16) for name in ("CapPrm", "CapEff")} == {0}
        assert identity(accepting)["NoNewPrivs"] == ["1"]
        assert accepting.environ()["HOME"] == user.pw_dir
        limits = bytes_of(Path(f"/proc/{accepting.pid}/limits")).decode()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        (await connect(port)).writer.close()
    assert b"runs_as_root" not in bytes_of(tmp_path / "log")


@pytest.mark.usefixtures("address")
async def test_mail_is_accepted_without_root(
    database: Database, open_keys: Keys, tmp_path: Path, files: dict[str, str], interpreter: str
):
    mails = [b"small\r\n", b"large\r\n" * 1000]
    user = who_reaches(database)
    os.chown(open_keys.blob_folder, pwd.getpwnam(user).pw_uid, -1)

    async with started(interpreter, database, tmp_path, files, run_as=user, inline_limit_bytes="1000") as (
        port,
        _supervisor,
        _accepting,
    ):
        for mail in mails:
            client = await connect(port)
            assert (await client.deliver(ADDRESS, mail.removesuffix(b"\r\n"))).startswith("250 ")
            client.writer.close()

    assert await stored_mails(database, open_keys) == mails


async def test_a_key_that_the_user_cannot_read_is_named(
    database: Database, keys: Keys, tmp_path: Path, files: dict[str, str]
):
    key = files["mail_public_key_file"]
    os.chmod(key, 0o600)  # noqa: PTH101 - a path's own is counted as blocking
    async with running(database, keys, tmp_path / "log", **files) as relay:
        assert await relay.ended() == 2
    os.chmod(key, 0o644)  # noqa: PTH101

    expected = (
        f"{USER} cannot read {key}. Let it, or set REPLYCO_MAIL_PUBLIC_KEY_FILE to a file that it can read.\n"
    )
    assert expected in bytes_of(tmp_path / "log").decode()


async def test_a_blob_folder_that_the_user_cannot_write_is_named(
    database: Database, keys: Keys, tmp_path: Path, files: dict[str, str]
):
    async with running(
        database, keys, tmp_path / "log", **(files | {"blob_url": "file:///var/lib/x"})
    ) as relay:
        assert await relay.ended() == 2

    assert f"{USER} cannot write into /var/lib. ".encode() in bytes_of(tmp_path / "log")


@pytest.mark.parametrize("user", ["root", "nosuchuser"])
async def test_a_user_that_will_not_do_is_told_of(
    database: Database, keys: Keys, tmp_path: Path, files: dict[str, str], user: str
):
    async with running(database, keys, tmp_path / "log", **(files | {"run_as": user})) as relay:
        assert await relay.ended() == 2

    assert b"Set " in bytes_of(tmp_path / "log")
    assert b"REPLYCO_RUN_AS" in bytes_of(tmp_path / "log")


async def test_root_without_a_user_is_warned_of(database: Database, keys: Keys, tmp_path: Path):
    async with running(database, keys, tmp_path / "log"):
        await until_said(tmp_path / "log", "runs_as_root")


def who_reaches(database: Database) -> str:
    """The one user, beside root, to whom the folder of the database's socket is open."""
    return Path(str(database.postgres.server.get_postmaster_info().socket_dir)).owner()


def bytes_of(log: Path) -> bytes:
    return log.read_bytes()


async def until_said(log: Path, what: str) -> None:
    """There is no event to await across processes."""
    async with asyncio.timeout(20):
        while what not in whole_lines(log):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
