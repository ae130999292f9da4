"""Relay addresses: what new ones look like, and what an envelope may call them."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import LOCAL_PART_LENGTH, local_part_for, new_local_part


@given(st.randoms(use_true_random=True))
def test_a_new_local_part_can_be_read_aloud_and_copied_by_hand(random):
    local_part = new_local_part(random.choice)

    assert len(local_part) == LOCAL_PART_LENGTH
    assert re.fullmatch(r"([bcdfghjkmnprstvwxz][aeu][bcdfghjkmnprstvwxz]){3}", local_part)
    assert "rn" not in local_part
    assert "vv" not in local_part


def test_a_bad_word_is_not_given_out():
    letters = iter("kakmabtek" + "mabtekrud")

    def choose(_choices: Sequence[str]) -> str:
        return next(letters)

    assert new_local_part(choose) == "mabtekrud"


@pytest.mark.parametrize(
    "address",
    [
        "mabtekrud@replyco.email",
        "MabTekRud@Replyco.EMAIL",
        "mabtekrud+de@replyco.email",
        "mabtekrud+a+b@replyco.email",
        "mabtekrud@replyco.email.",
    ],
)
def test_all_of_these_mean_the_same_relay_address(address: str):
    assert local_part_for(address, "replyco.email") == "mabtekrud"


@pytest.mark.parametrize(
    "address",
    [
        "mabtekrud@replyco.email.example",
        "mabtekrud@xreplyco.email",
        "mabtekrud",
        "@replyco.email",
        "+de@replyco.email",
        "",
        "mabtekrud@",
        "mabtekrud@[127.0.0.1]",
    ],
)
def test_these_are_no_relay_addresses(address: str):
    assert local_part_for(address, "replyco.email") is None


@given(st.text(max_size=400))
def test_any_text_is_answered(address: str):
    local_part_for(address, "replyco.email")
