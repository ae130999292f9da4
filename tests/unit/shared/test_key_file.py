"""The key file: wraps data keys for their owner only."""

from pathlib import Path

import pytest

from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyFile, KeyFileUnusable, KeyNotChangeable


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


async def test_a_key_that_is_added_wraps_at_once_also_in_whoever_read_the_file_before(tmp_path: Path):
    KeyFile.create(tmp_path / "keys.json")
    running, operator = KeyFile.load(tmp_path / "keys.json"), KeyFile.load(tmp_path / "keys.json")
    _, wrapped = await running.wrap(b"d" * 32, b"owner")

    assert operator.add(use=True) == "k2"

    assert (await running.wrap(b"d" * 32, b"owner"))[0] == "k2"
    assert await running.unwrap("k1", wrapped, b"owner") == b"d" * 32


async def test_a_key_for_later_wraps_only_when_it_is_put_to_use(key_file: KeyFile):
    added = key_file.add(use=False)
    assert key_file.current_id == "k1"

    key_file.use(added)

    assert key_file.current_id == "k2"
    assert key_file.key_ids == ("k1", "k2")


async def test_a_removed_key_opens_nothing_any_more(key_file: KeyFile):
    _, wrapped = await key_file.wrap(b"d" * 32, b"owner")
    key_file.add(use=True)

    key_file.remove("k1")

    with pytest.raises(SealBroken):
        await key_file.unwrap("k1", wrapped, b"owner")


@pytest.mark.parametrize("key_id", ["k1", "k9"])
def test_neither_the_current_key_nor_one_that_is_not_there_can_be_removed(key_file: KeyFile, key_id: str):
    with pytest.raises(KeyNotChangeable):
        key_file.remove(key_id)


async def test_a_file_that_breaks_leaves_the_keys_from_before(tmp_path: Path):
    KeyFile.create(tmp_path / "keys.json")
    running = KeyFile.load(tmp_path / "keys.json")
    key_id, wrapped = await running.wrap(b"d" * 32, b"owner")

    (tmp_path / "keys.json").write_text("oops")

    assert await running.unwrap(key_id, wrapped, b"owner") == b"d" * 32


def test_a_rotated_file_is_still_its_owners_only(key_file: KeyFile, tmp_path: Path):
    key_file.add(use=True)

    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
