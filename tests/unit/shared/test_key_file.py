"""The key file: wraps data keys for their owner only."""

from pathlib import Path

import pytest

from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFile, KeyFileUnusable


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    KeyFile.create(tmp_path / "keys.json")
    return KeyFile.load(tmp_path / "keys.json")


async def test_a_wrapped_key_unwraps_for_its_owner(key_file: KeyFile):
    key_id, wrapped = await key_file.wrap(b"d" * 32, b"owner")

    assert await key_file.unwrap(key_id, wrapped, b"owner") == b"d" * 32


async def test_a_wrapped_key_does_not_unwrap_for_another(key_file: KeyFile):
    key_id, wrapped = await key_file.wrap(b"d" * 32, b"owner")

    with pytest.raises(SealBroken):
        await key_file.unwrap(key_id, wrapped, b"another")


async def test_an_unknown_wrapping_key_is_refused(key_file: KeyFile):
    _, wrapped = await key_file.wrap(b"d" * 32, b"owner")

    with pytest.raises(SealBroken):
        await key_file.unwrap("k9", wrapped, b"owner")


def test_a_key_file_is_never_overwritten(tmp_path: Path):
    KeyFile.create(tmp_path / "keys.json")

    with pytest.raises(KeyFileUnusable):
        KeyFile.create(tmp_path / "keys.json")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        '{"current": "k1", "keys": {}}',
        '{"current": "k1", "keys": {"k1": "AAAA"}}',
        '{"current": 1, "keys": []}',
    ],
)
def test_a_broken_key_file_is_refused(tmp_path: Path, content: str):
    (tmp_path / "keys.json").write_text(content)

    with pytest.raises(KeyFileUnusable):
        KeyFile.load(tmp_path / "keys.json")
