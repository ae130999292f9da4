"""Relay, mail worker and connector are users of their own, with a group in common: one stores, another removes."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.other_users import ENVIRONMENT, ROOT, interpreter_for, needs_root

pytestmark = needs_root

_GROUP = 60_100
_RELAY, _WORKER, _STRANGER = 60_101, 60_102, 60_103
# Of 2026-03-01, whose day is over.
_BLOB = UUID("019ca6f0-0000-7000-8000-000000000001")
_DAY = "20260301"
_STORE = f"""
import asyncio, sys, uuid
from pathlib import Path
from shared.blobs import Blob, BlobsForbidden, FolderBlobs

async def main():
    blobs, blob = FolderBlobs(Path(sys.argv[1])), uuid.UUID({str(_BLOB)!r})
    key = "{_DAY}/" + str(blob)
    try:
        {{}}
    except BlobsForbidden:
        print("forbidden")
    blobs.close()

asyncio.run(main())
"""
_PUT = "print((await blobs.put(blob, b'sealed')).key == key)"
_READ = "print(await blobs.closed_days(), await blobs.list_day('{day}', after='', limit=9) == [key])"
_REMOVE = "print(await blobs.remove(key))"


# What they run is loaded once; each then is a process of its own that becomes its user.
_STARTS_THEM = """
import json, os, sys, traceback
import shared.blobs, shared.doctor.blob_store

for line in sys.stdin:
    user, groups, umask, script, output, arguments = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.dup2(os.open(output, os.O_WRONLY), 1)
    os.setgroups(groups)
    os.setgid(user)
    os.setuid(user)
    os.umask(umask)
    sys.argv[1:] = arguments
    code = 1
    try:
        exec(script, {"__name__": "__main__"})
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)
"""


@pytest.fixture(scope="module")
def starter() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [interpreter_for(_RELAY, "shared.blobs"), "-c", _STARTS_THEM],
        env=ENVIRONMENT, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process


@pytest.fixture
def folder(scratch: Path, request: pytest.FixtureRequest) -> Path:
    scratch.chmod(0o711)
    folder = scratch / f"shared-{abs(hash(request.node.name)):x}"
    folder.mkdir()
    os.chown(folder, _RELAY, _GROUP)
    folder.chmod(0o2770)
    return folder


class Users:
    def __init__(self, starter: subprocess.Popen[str], folder: Path, output: Path) -> None:
        self._starter = starter
        self._folder = folder
        self._output = output

    def says(self, user: int, what: str, *, umask: int = 0o022, is_member: bool = True) -> str:
        script = _STORE.replace("{}", what.replace("{day}", _DAY))
        # Before it there are lines of the log.
        return self.run(user, script, umask=umask, is_member=is_member).splitlines()[-1]

    def run(self, user: int, script: str, *, umask: int = 0o022, is_member: bool = True) -> str:
        """What a script prints that runs as this user."""
        self._output.write_bytes(b"")
        groups = [_GROUP] if is_member else []
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        order = [user, groups, umask, script, str(self._output), [str(self._folder)]]
        self._starter.stdin.write(json.dumps(order) + "\n")
        self._starter.stdin.flush()
        assert self._starter.stdout.readline() == "0\n"
        return self._output.read_text()


@pytest.fixture
def users(starter: subprocess.Popen[str], folder: Path, tmp_path: Path) -> Users:
    return Users(starter, folder, tmp_path / "output")


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_one_role_stores_another_one_removes(users: Users, folder: Path, umask: int):
    assert users.says(_RELAY, _PUT, umask=umask) == "True"
    seen = users.says(_WORKER, _READ)
    removed = users.says(_WORKER, _REMOVE)

    assert (seen, removed) == ("[] True", "None")
    assert not any((folder / _DAY).iterdir())


def test_a_folder_whose_maker_died_before_it_was_open_to_the_group_is_opened_by_its_next_file(
    users: Users, folder: Path
):
    (folder / _DAY).mkdir()
    os.chown(folder / _DAY, _RELAY, _GROUP)
    (folder / _DAY).chmod(0o700)

    assert users.says(_RELAY, _PUT) == "True"

    assert users.says(_WORKER, _READ) == "[] True"


def test_strangers_are_shut_out_and_know_it(users: Users, folder: Path):
    users.says(_RELAY, _PUT)
    # As a folder is that an older version has made.
    (folder / _DAY).chmod(0o2750)
    closed = users.says(_WORKER, "print(await blobs.closed_days())")
    removed = users.says(_WORKER, _REMOVE)

    assert (closed, removed) == (f"['{_DAY}']", "forbidden")
    assert users.says(_STRANGER, "print(await blobs.days())", is_member=False) == "forbidden"


def test_a_file_that_the_group_cannot_read_closes_its_day(users: Users, folder: Path):
    users.says(_RELAY, _PUT)
    (folder / _DAY / str(_BLOB)).chmod(0o600)

    assert users.says(_WORKER, "print(await blobs.closed_days())") == f"['{_DAY}']"


def test_what_is_closed_is_counted_from_the_first_look(users: Users, folder: Path):
    users.says(_RELAY, _PUT)
    count = (
        "from prometheus_client import CollectorRegistry; from shared.blobs import watch_rights; registry = CollectorRegistry();"
        "watching = asyncio.create_task(watch_rights(blobs, registry)()); shown = lambda: registry.get_sample_value('replyco_blob_days_closed')\n"
        "        while shown() != shown(): await asyncio.sleep(0.01)\n"
        "        print(shown())"
    )
    before = users.says(_WORKER, count)
    (folder / _DAY).chmod(0o2750)

    assert (before, users.says(_WORKER, count)) == ("0.0", "1.0")


def test_doctor_names_the_commands_that_open_what_is_closed(users: Users, folder: Path):
    users.says(_RELAY, _PUT)
    (folder / _DAY).chmod(0o2750)
    script = (
        "import asyncio, sys; from shared.doctor.blob_store import blob_findings; from shared.settings import BlobSettings\n"
        "for each in asyncio.run(blob_findings(BlobSettings(blob_url='file://' + sys.argv[1]), in_development=True)): print(each.text)"
    )

    said = users.run(_WORKER, script)
    assert f"in 1 folders of large mail (the first is {folder / _DAY})" in said
    for command in said.split("`")[1::2]:
        subprocess.run(["/bin/sh", "-c", command.replace("GROUP", str(_GROUP))], check=True)
    assert "what is to be erased stays" not in users.run(_WORKER, script)
    assert users.says(_WORKER, _REMOVE) == "None"
