"""Raw mail: sealed by one who can open nothing, opened by the worker, and again through the account's key."""

from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.mail_key_files import MailPrivateKeyFile, create_mail_key_pair
from shared.crypto.raw_mail import ContentKey, MailPrivateKey, MailPublicKey, seal_together

_ACCOUNT, _MAIL = UUID(int=1), UUID(int=2)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[MailPrivateKey, MailPublicKey]:
    folder = tmp_path_factory.mktemp("keys")
    create_mail_key_pair(folder / "private.json", folder / "public.json")
    return MailPrivateKeyFile.load(folder / "private.json").current, MailPublicKey.load(
        folder / "public.json"
    )


@given(st.binary(max_size=2000))
def test_the_worker_reads_what_the_relay_sealed(pair: tuple[MailPrivateKey, MailPublicKey], mail: bytes):
    private, public = pair
    relay_key = ContentKey.new(_ACCOUNT, _MAIL)
    raw, [sealed_key] = relay_key.seal("raw", mail), seal_together([relay_key], public)

    assert ContentKey.open_with(private, _ACCOUNT, _MAIL, sealed_key).open("raw", raw) == mail


def test_a_content_key_is_bound_to_its_mail(pair: tuple[MailPrivateKey, MailPublicKey]):
    private, public = pair
    [sealed_key] = seal_together([ContentKey.new(_ACCOUNT, _MAIL)], public)

    with pytest.raises(SealBroken):
        ContentKey.open_with(private, _ACCOUNT, UUID(int=3), sealed_key)
    with pytest.raises(SealBroken):
        ContentKey.open_with(private, UUID(int=3), _MAIL, sealed_key)


def test_keys_that_are_sealed_together_open_each_for_its_own_mail_alone(
    pair: tuple[MailPrivateKey, MailPublicKey],
):
    private, public = pair
    keys = [ContentKey.new(_ACCOUNT, UUID(int=number)) for number in range(1, 4)]

    sealed = seal_together(keys, public)

    for key, one in zip(keys, sealed, strict=True):
        assert ContentKey.open_with(private, _ACCOUNT, key.accepted_mail_id, one) == key
        for other in keys:
            if other is not key:
                with pytest.raises(SealBroken):
                    ContentKey.open_with(private, _ACCOUNT, other.accepted_mail_id, one)


def test_what_seals_keys_together_seals_none_that_come_later(pair: tuple[MailPrivateKey, MailPublicKey]):
    private, public = pair
    key = ContentKey.new(_ACCOUNT, _MAIL)
    [first], [second] = seal_together([key], public), seal_together([key], public)

    with pytest.raises(SealBroken):
        ContentKey.open_with(private, _ACCOUNT, _MAIL, first[:80] + second[80:])
    # The same key, sealed twice, has nothing in common, not within one moment either.
    once, again = seal_together([key, key], public)
    assert once[:80] == again[:80]
    assert once[80:92] != again[80:92]
    assert once[92:] != again[92:]


def test_a_key_that_an_earlier_version_has_sealed_opens(pair: tuple[MailPrivateKey, MailPublicKey]):
    """HPKE sealed it by itself, bound to its row."""
    private, public = pair
    key = ContentKey.new(_ACCOUNT, _MAIL)
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    info = b"\0".join((b"replyco raw mail", _ACCOUNT.bytes, _MAIL.bytes, b"accepted_mail", b"content_key"))
    sealed = suite.encrypt(key.key, public.key, info)

    assert ContentKey.open_with(private, _ACCOUNT, _MAIL, sealed) == key
    with pytest.raises(SealBroken):
        ContentKey.open_with(private, _ACCOUNT, _OTHER_MAIL, sealed)


def test_an_envelope_does_not_open_as_a_mail(pair: tuple[MailPrivateKey, MailPublicKey]):
    key = ContentKey.new(_ACCOUNT, _MAIL)

    with pytest.raises(SealBroken):
        key.open("raw", key.seal("envelope", b"{}"))


_OTHER_ACCOUNT, _OTHER_MAIL, _BLOB = UUID(int=4), UUID(int=5), UUID(int=6)


def test_each_copy_opens_the_mail_that_all_share(pair: tuple[MailPrivateKey, MailPublicKey]):
    private, public = pair
    first = ContentKey.new(_ACCOUNT, _MAIL)
    second = first.of_copy(_OTHER_ACCOUNT, _OTHER_MAIL)
    shared = first.seal_shared(_BLOB, b"mail")

    for key in (first, second):
        [sealed] = seal_together([key], public)
        opened = ContentKey.open_with(private, key.account_id, key.accepted_mail_id, sealed)
        assert opened.open_mail(shared, _BLOB) == b"mail"


def test_the_key_of_a_copy_is_bound_to_its_own_row(pair: tuple[MailPrivateKey, MailPublicKey]):
    private, public = pair
    first = ContentKey.new(_ACCOUNT, _MAIL)
    second = first.of_copy(_OTHER_ACCOUNT, _OTHER_MAIL)

    with pytest.raises(SealBroken):
        ContentKey.open_with(private, _ACCOUNT, _MAIL, seal_together([second], public)[0])
    with pytest.raises(SealBroken):
        first.open("envelope", second.seal("envelope", b"{}"))


@pytest.mark.parametrize("blob_id", [None, _MAIL, UUID(int=7)])
def test_a_shared_mail_opens_in_no_other_place(blob_id: UUID | None):
    key = ContentKey.new(_ACCOUNT, _MAIL)

    with pytest.raises(SealBroken):
        key.open_mail(key.seal_shared(_BLOB, b"mail"), blob_id)
    with pytest.raises(SealBroken):
        key.open("raw", key.seal_shared(_BLOB, b"mail"))


def test_a_mail_of_one_row_does_not_open_as_a_shared_one_and_the_other_way_round():
    key = ContentKey.new(_ACCOUNT, _MAIL)
    of_row, shared = key.seal("raw", b"mail").ciphertext, key.seal_shared(_MAIL, b"mail").ciphertext

    for disguised in (b"\2" + of_row[1:], b"\1" + shared[1:]):
        with pytest.raises(SealBroken):
            key.open_mail(Sealed(disguised), _MAIL)


def test_a_large_mail_of_one_row_opens_from_its_blob():
    """As large mail was always written: bound to its row, in a blob that has the row's id."""
    key = ContentKey.new(_ACCOUNT, _MAIL)

    assert key.open_mail(key.seal("raw", b"mail"), _MAIL) == b"mail"
    with pytest.raises(SealBroken):
        ContentKey.new(_OTHER_ACCOUNT, _MAIL).open_mail(key.seal("raw", b"mail"), _MAIL)


@given(st.binary(max_size=160))
def test_bytes_of_any_kind_are_refused_in_order(pair: tuple[MailPrivateKey, MailPublicKey], blob: bytes):
    with pytest.raises(SealBroken):
        ContentKey.open_with(pair[0], _ACCOUNT, _MAIL, blob)
    with pytest.raises(SealBroken):
        ContentKey.new(_ACCOUNT, _MAIL).open("raw", Sealed(blob))
    with pytest.raises(SealBroken):
        ContentKey.new(_ACCOUNT, _MAIL).open_mail(Sealed(blob), _MAIL)


def test_key_files_are_never_overwritten(tmp_path: Path):
    create_mail_key_pair(tmp_path / "private.json", tmp_path / "public.json")
    before = (tmp_path / "private.json").read_bytes()

    with pytest.raises(KeyFileUnusable):
        create_mail_key_pair(tmp_path / "private.json", tmp_path / "public.json")

    assert (tmp_path / "private.json").read_bytes() == before


def test_only_its_owner_reads_a_key_file(tmp_path: Path):
    create_mail_key_pair(tmp_path / "private.json", tmp_path / "public.json")

    assert (tmp_path / "private.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content", ["", "{}", '{"id": "a", "private": "AAAA"}', "[]", '{"id": "a", "private": 5}']
)
def test_a_broken_key_file_is_named(tmp_path: Path, content: str):
    (tmp_path / "private.json").write_text(content)

    with pytest.raises(KeyFileUnusable) as refused:
        MailPrivateKeyFile.load(tmp_path / "private.json")

    assert refused.value.fields == {"path": str(tmp_path / "private.json")}
