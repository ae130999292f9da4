"""Recovery codes, as they are made and as people type them."""

import pytest

from services.connector.second_factors.recovery_codes import HOW_MANY, hash_of, new_codes


def test_ten_codes_of_eighty_bits_each():
    codes = new_codes()

    assert len(set(codes)) == HOW_MANY == 10
    assert {len(code.replace("-", "")) for code in codes} == {16}
    assert len({hash_of(code) for code in codes}) == 10


@pytest.mark.parametrize(
    "typed",
    ["7K2M-QX4D-01ZT-9WBC", "7k2m qx4d 01zt 9wbc", "7K2MQX4DOIZT9WBC", " 7k2m-qx4d-oLzt-9wbc "],
)
def test_a_code_is_read_however_it_is_typed(typed: str):
    assert hash_of(typed) == hash_of("7K2M-QX4D-01ZT-9WBC")


@pytest.mark.parametrize("typed", ["", "123456", "7K2M-QX4D-01ZT-9WB", "7K2M-QX4D-01ZT-9WBU", "é" * 16])
def test_what_is_no_code_has_no_hash(typed: str):
    assert hash_of(typed) is None
