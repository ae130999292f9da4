"""What an operator is told about a key file that cannot be used: never to make new keys where there are data."""

import resource
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_provider import KeyFile, KeyFileUnusable
from shared.crypto.mail_key_files import MailPrivateKeyFile
from shared.crypto.raw_mail import MailPublicKey
from shared.process import key_file_cure


@pytest.mark.parametrize("kind", [KeyFile, MailPrivateKeyFile, MailPublicKey])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is missing. Put it back from your copy"),
        (b"", "is damaged, or no key file. Put it back from your copy."),
        (b"{}", "is damaged, or no key file. Put it back from your copy."),
        (b"\xff", "is damaged, or no key file. Put it back from your copy."),
        ("folder", "cannot be read (Is a directory). Put it back from your copy."),
    ],
)
def test_a_key_file_that_cannot_be_used(
    tmp_path: Path,
    kind: type[KeyFile | MailPrivateKeyFile | MailPublicKey],
    content: bytes | str | None,
    told: str,
):
    path = tmp_path / "keys.json"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)

    with pytest.raises(KeyFileUnusable) as unusable:
        kind.load(path)

    cure = key_file_cure(unusable.value)
    assert told in cure
    assert ("keys create" in cure) == (content is None)


def test_a_key_file_of_another_user_is_given_to_this_one():
    unusable = KeyFileUnusable(path="/etc/replyco/account-keys.json")
    unusable.__cause__ = PermissionError(13, "Permission denied")

    cure = key_file_cure(unusable)

    assert "may not be read by this user" in cure
    assert "keys create" not in cure


@pytest.mark.parametrize(
    ("create", "add"),
    [
        (KeyFile.create, lambda path: KeyFile.load(path).add(use=True)),
        (
            lambda path: DkimKeyFile.create(path, datetime.now(UTC)),
            lambda path: DkimKeyFile.load(path).add(datetime.now(UTC), use=True),
        ),
    ],
)
def test_a_full_disk_calls_no_whole_key_file_damaged(
    tmp_path: Path, create: Callable[[Path], object], add: Callable[[Path], object]
):
    path = tmp_path / "keys.json"
    create(path)
    content, before = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, before[1]))
    try:
        with pytest.raises(KeyFileUnusable) as unusable:
            add(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    cure = key_file_cure(unusable.value)
    assert f"{path} could not be written (File too large)" in cure
    assert "copy" not in cure
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (content, ["keys.json"])
