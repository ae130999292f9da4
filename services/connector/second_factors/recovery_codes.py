"""Recovery codes: 80 random bits each, in letters that nobody confuses. The database holds hashes only.

A plain SHA-256 is right here: nobody guesses 80 random bits.
"""

import hashlib
import secrets
from typing import Final

HOW_MANY: Final = 10
# Crockford's base 32: without I, L, O and U.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 16
_GROUP: Final = 4
_READ_AS: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "-": "", " ": ""})


def new_codes() -> list[str]:
    """Codes such as `7K2M-QX4D-01ZT-9WBC`, to be shown once."""
    return [_new_code() for _ in range(HOW_MANY)]


def hash_of(typed: str) -> bytes | None:
    """What the database holds of this code, however it was typed; None if it is none."""
    code = typed.upper().translate(_READ_AS)
    if len(code) != _LENGTH or any(letter not in _LETTERS for letter in code):
        return None
    return hashlib.sha256(code.encode()).digest()


def _new_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))
