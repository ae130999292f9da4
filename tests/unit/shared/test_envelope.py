"""Sealed columns: they open in their place with their key, and nowhere else."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed

_ACCOUNT, _OTHER_ACCOUNT = UUID(int=1), UUID(int=2)
_KEY, _OLD_KEY = UUID(int=11), UUID(int=12)
_ROW = UUID(int=21)
_PLACE = Place("grants", "refresh_token", _ROW)


def _keys(account_id: UUID = _ACCOUNT, current_id: UUID = _KEY) -> AccountKeys:
    return AccountKeys(account_id, current_id, {_KEY: b"k" * 32, _OLD_KEY: b"o" * 32}, b"l" * 32)


@given(st.binary(max_size=2000))
def test_what_was_sealed_opens(plaintext: bytes):
    assert _keys().open(_PLACE, _keys().seal(_PLACE, plaintext)) == plaintext


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_changed_byte_does_not_open(plaintext: bytes, data: st.DataObject):
    blob = bytearray(_keys().seal(_PLACE, plaintext).ciphertext)
    index = data.draw(st.integers(0, len(blob) - 1))
    blob[index] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SealBroken):
        _keys().open(_PLACE, Sealed(bytes(blob)))


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("grants", "refresh_token", UUID(int=22)),
        Place("grants", "access_token", _ROW),
        Place("messages", "refresh_token", _ROW),
    ],
    ids=["another row", "another column", "another table"],
)
def test_a_value_moved_elsewhere_does_not_open(elsewhere: Place):
    sealed = _keys().seal(_PLACE, b"secret")

    with pytest.raises(SealBroken):
        _keys().open(elsewhere, sealed)


def test_a_value_moved_to_another_account_does_not_open():
    sealed = _keys().seal(_PLACE, b"secret")

    with pytest.raises(SealBroken):
        _keys(_OTHER_ACCOUNT).open(_PLACE, sealed)


def test_a_value_sealed_with_an_earlier_key_opens():
    sealed = _keys(current_id=_OLD_KEY).seal(_PLACE, b"secret")

    assert _keys().open(_PLACE, sealed) == b"secret"


@given(st.binary(max_size=40))
def test_bytes_of_any_kind_are_refused_in_order(blob: bytes):
    with pytest.raises(SealBroken):
        _keys().open(_PLACE, Sealed(blob))


def test_nothing_shows_its_content():
    shown = repr(_keys()) + repr(_keys().seal(_PLACE, b"secret"))

    assert "secret" not in shown
    assert "kkk" not in shown
    assert "lll" not in shown


def test_lookup_hashes_differ_by_purpose():
    assert _keys().lookup_hash("buyer", "kim") != _keys().lookup_hash("order", "kim")


def test_lookup_hashes_are_the_same_after_a_key_change():
    assert _keys().lookup_hash("buyer", "kim") == _keys(current_id=_OLD_KEY).lookup_hash("buyer", "kim")
