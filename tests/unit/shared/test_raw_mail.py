"""Raw mail: sealed by one who can open nothing, opened by the worker, and again through the account's key."""

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.envelope import SealBroken, Sealed
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.mail_key_files import MailPrivateKeyFile, create_mail_key_pair
from shared.crypto.raw_mail import ContentKey, MailPrivateKey, MailPublicKey

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
    raw, sealed_key = relay_key.seal("raw", mail), relay_key.seal_to(public)

    assert ContentKey.open_with(private, _ACCOUNT, _MAIL, sealed_key).open("raw", raw) == mail


def test_a_content_key_is_bound_to_its_mail(pair: tuple[MailPrivateKey, MailPublicKey]):
    private, public = pair
    sealed_key = ContentKey.new(_ACCOUNT, _MAIL).seal_to(public)

    with pytest.raises(SealBroken):
        ContentKey.open_with(private, _ACCOUNT, UUID(int=3), sealed_key)


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
        opened = ContentKey.open_with(private, key.account_id, key.accepted_mail_id, key.seal_to(public))
        assert opened.open_mail(shared, _BLOB) == b"mail"


def test_the_key_of_a_copy_is_bound_to_its_own_row(pair: tuple[MailPrivateKey, MailPublicKey]):
    private, public = pair
    first = ContentKey.new(_ACCOUNT, _MAIL)
    second = first.of_copy(_OTHER_ACCOUNT, _OTHER_MAIL)

    with pytest.raises(SealBroken):
        ContentKey.open_with(private, _ACCOUNT, _MAIL, second.seal_to(public))
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


@given(st.binary(max_size=120))
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
