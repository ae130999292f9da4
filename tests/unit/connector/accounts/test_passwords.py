"""What is verified in place of a user who does not exist."""

import argon2
import pytest

from services.connector.accounts.passwords import hash_of_nobody


@pytest.mark.parametrize(
    "hasher", [argon2.PasswordHasher(), argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)]
)
def test_nobodys_hash_costs_what_a_users_does_and_fits_nothing(hasher: argon2.PasswordHasher):
    nobody, somebody = hash_of_nobody(hasher), hasher.hash("correct horse")

    assert argon2.extract_parameters(nobody) == argon2.extract_parameters(somebody)
    # Computed to its end and then compared: one that could not be read would be refused at once, and tell that there is no such user.
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        hasher.verify(nobody, "correct horse")
    assert hash_of_nobody(hasher) != nobody
