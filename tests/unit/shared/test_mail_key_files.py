"""The files of the mail keys: several private ones while a pair is replaced, and the one public key of the relay."""

import json
import stat
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.crypto.key_provider import KeyFileUnusable, KeyNotChangeable
from shared.crypto.mail_key_files import (
    MailPrivateKeyFile,
    MailPublicKeyFile,
    create_mail_key_pair,
    write_public_key,
)
from shared.crypto.raw_mail import ContentKey, seal_together

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
IDS = UUID(int=1), UUID(int=2)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    create_mail_key_pair(tmp_path / "private.json", tmp_path / "public.json", NOW)
    return tmp_path / "private.json", tmp_path / "public.json"


def test_running_processes_see_a_new_pair_and_open_what_was_sealed_before(paths: tuple[Path, Path]):
    worker, relay = MailPrivateKeyFile.load(paths[0]), MailPublicKeyFile.load(paths[1])
    sealed = {relay.current.key_id: seal_together([ContentKey.new(*IDS)], relay.current)[0]}
    operator = MailPrivateKeyFile.load(paths[0])

    new = operator.add(NOW)
    assert worker.current.key_id == relay.current.key_id != new.key_id
    assert set(worker.keys) == {relay.current.key_id, new.key_id}
    write_public_key(paths[1], new.public)
    operator.use(new.key_id)
    sealed[relay.current.key_id] = seal_together([ContentKey.new(*IDS)], relay.current)[0]

    assert set(sealed) == set(worker.keys)
    for key_id, content_key in sealed.items():
        ContentKey.open_with(worker.keys[key_id], *IDS, content_key)
    assert relay.current.made_at == NOW
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o600]


def test_the_key_that_is_sealed_to_is_never_removed(paths: tuple[Path, Path]):
    file = MailPrivateKeyFile.load(paths[0])
    old, new = file.current.key_id, file.add(NOW).key_id

    with pytest.raises(KeyNotChangeable, match="Rotate first"):
        file.remove(old)
    with pytest.raises(KeyNotChangeable, match="has no key other"):
        file.use("other")
    file.use(new)
    file.remove(old)

    assert list(MailPrivateKeyFile.load(paths[0]).keys) == [new]


def test_a_file_of_before_holds_one_key_and_takes_more(tmp_path: Path):
    path = tmp_path / "private.json"
    raw = X25519PrivateKey.generate().private_bytes_raw()
    path.write_text(json.dumps({"id": "4711", "private": b64encode(raw).decode()}))
    path.chmod(0o600)

    file = MailPrivateKeyFile.load(path)
    new = file.add(NOW)

    assert file.current.key_id == "4711"
    assert file.current.made_at is None
    assert list(MailPrivateKeyFile.load(path).keys) == ["4711", new.key_id]
    assert MailPrivateKeyFile.load(path).current.key.private_bytes_raw() == raw


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"keys": {}}',
        '{"current": "a", "keys": {}}',
        '{"current": "a", "keys": {"a": {"private": "AAAA"}}}',
        '{"current": "a", "keys": {"a": 5}}',
        '{"current": "a", "keys": []}',
    ],
)
def test_a_broken_file_is_named_and_what_was_read_before_stays_in_use(paths: tuple[Path, Path], content: str):
    running = MailPrivateKeyFile.load(paths[0])
    before = running.current.key_id
    paths[0].write_text(content)

    with pytest.raises(KeyFileUnusable) as refused:
        MailPrivateKeyFile.load(paths[0])

    assert refused.value.fields == {"path": str(paths[0])}
    assert running.current.key_id == before


def test_no_representation_shows_a_private_key(paths: tuple[Path, Path]):
    file = MailPrivateKeyFile.load(paths[0])
    secret = json.loads(paths[0].read_bytes())["keys"][file.current.key_id]["private"]

    for shown in (
        repr(file),
        repr(file.current),
        repr(file.keys),
        repr(MailPublicKeyFile.load(paths[1]).current),
    ):
        assert secret not in shown
    assert secret not in paths[1].read_text()
