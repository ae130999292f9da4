"""The file with the keys that replies are signed with."""

import json
import stat
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.crypto.dkim_keys import DkimKeyFile
from shared.crypto.key_provider import KeyFileUnusable, KeyNotChangeable
from shared.process import key_file_cure

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dkim-keys.json"


def test_a_file_is_for_its_owner_alone_and_never_overwritten(path: Path):
    DkimKeyFile.create(path, NOW)
    before = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyFileUnusable):
        DkimKeyFile.create(path, NOW)
    assert path.read_bytes() == before


def test_the_public_record_is_of_2048_bits_and_the_private_key_is_in_no_representation(path: Path):
    keys = DkimKeyFile.create(path, NOW)
    secret = json.loads(path.read_bytes())["keys"][keys.current.selector].splitlines()[3]

    assert keys.current.record.startswith("v=DKIM1; k=rsa; p=MIIBIjAN")
    assert keys.current.public.rsa_bits == 2048
    assert keys.current.record_name("replyco.email") == f"{keys.current.selector}._domainkey.replyco.email"
    for shown in (repr(keys), repr(keys.current), str(keys.keys), keys.current.record):
        assert secret not in shown
        assert "PRIVATE" not in shown


def test_selectors_are_never_used_again(path: Path):
    keys = DkimKeyFile.create(path, NOW)
    first = keys.current.selector
    second = keys.add(NOW, use=True).selector
    keys.remove(first)
    third = keys.add(NOW, use=True).selector

    assert len({first, second, third}) == 3
    assert all(selector.startswith("r20261128-") for selector in (first, second, third))
    assert [key.selector for key in keys.keys] == [second, third]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_key_that_signs_is_not_removed_and_an_unknown_one_is_named(path: Path):
    keys = DkimKeyFile.create(path, NOW)

    with pytest.raises(KeyNotChangeable, match="signs at present"):
        keys.remove(keys.current.selector)
    with pytest.raises(KeyNotChangeable, match="has no key other"):
        keys.use("other")


def test_a_file_that_becomes_unusable_leaves_the_keys_in_use(path: Path):
    keys = DkimKeyFile.create(path, NOW)
    selector = keys.current.selector

    path.write_text("{}")

    assert keys.current.selector == selector


def pem_of(key: object) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"current": "r1", "keys": {}}',
        b'{"current": "r1", "keys": {"r1": 5}}',
        b'{"current": "r1", "keys": {"r1": "canary-of-a-key"}}',
        json.dumps({"current": "r1", "keys": {"r1": pem_of(Ed25519PrivateKey.generate())}}).encode(),
        json.dumps({"current": "r1", "keys": {"r1": pem_of(generate_private_key(65_537, 1024))}}).encode(),
        b"\xff",
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_with_its_cure_and_shows_nothing(path: Path, content: bytes):
    path.write_bytes(content)

    with pytest.raises(KeyFileUnusable) as refused:
        DkimKeyFile.load(path)

    told = "".join(traceback.format_exception(refused.value)) + key_file_cure(refused.value)
    assert "canary-of-a-key" not in told
    assert "keys dkim create" in told


@pytest.mark.parametrize("selector", ["", "a b", "ä", "a;b", "a" * 64, "a\r\nb"])
def test_a_selector_that_cannot_stand_in_a_header_is_refused(path: Path, selector: str):
    pem = pem_of(generate_private_key(65_537, 2048))
    path.write_text(json.dumps({"current": selector, "keys": {selector: pem}}))

    with pytest.raises(KeyFileUnusable):
        DkimKeyFile.load(path)
