"""A key file that cannot be read for a while is in use as soon as it can be, without a restart."""

import math
import resource
from pathlib import Path

import pytest

from shared.crypto.key_provider import KeyFileUnusable, RereadFile, write_private_file


class Reading:
    """Reads a file as a user who needs the right of its owner to, whoever runs the test."""

    def __init__(self) -> None:
        self.fails = False

    def __call__(self, path: Path) -> bytes:
        if self.fails or not path.stat().st_mode & 0o400:
            raise KeyFileUnusable(path=str(path))
        return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_private_file(tmp_path / "keys.json", b"old")
    return tmp_path / "keys.json"


def replace(path: Path, content: bytes, mode: int) -> None:
    new = path.with_name("new")
    new.write_bytes(content)
    new.chmod(mode)
    new.replace(path)


def test_rights_that_are_mended_are_noticed(path: Path):
    file = RereadFile(path, Reading(), try_again_seconds=math.inf)
    replace(path, b"new", 0o000)
    assert file.content == b"old"

    path.chmod(0o600)

    assert file.content == b"new"


def test_what_could_not_be_read_is_tried_again_though_the_file_is_the_same(path: Path):
    reading = Reading()
    file = RereadFile(path, reading, try_again_seconds=0)
    replace(path, b"new", 0o600)
    # As where a process has too many files open.
    reading.fails = True
    assert file.content == b"old"

    reading.fails = False

    assert file.content == b"new"


def test_a_full_disk_leaves_no_half_a_key(tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, before[1]))
    try:
        with pytest.raises(KeyFileUnusable):
            write_private_file(tmp_path / "half.json", b"secret")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert not any(tmp_path.iterdir())
