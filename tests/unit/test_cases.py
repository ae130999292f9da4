"""What the tests' own `every_case` tells."""

import pytest

from tests.cases import every_case


def _check_four_numbers(ran: list[int]) -> None:
    with every_case() as case:
        for number in range(4):
            with case(f"number {number}"):
                ran.append(number)
                assert number % 2, "it is even"
        with case("unreadable"):
            raise ValueError("not a number")


def _check_nothing() -> None:
    with every_case():
        pass


def test_each_case_that_fails_is_told_by_name_and_hides_no_other():
    ran: list[int] = []
    with pytest.raises(AssertionError) as told:
        _check_four_numbers(ran)

    said = str(told.value)
    assert ran == [0, 1, 2, 3]
    assert "3 of 5 cases" in said
    assert [f"--- number {number}\n" in said for number in range(4)] == [True, False, True, False]
    assert "it is even" in said
    assert "--- unreadable\n" in said
    assert "not a number" in said


def test_no_case_is_a_failure():
    with pytest.raises(AssertionError, match="no case"):
        _check_nothing()
