"""What a password must be: long enough, not made of one's own name, and not among those that everybody has tried already.

As NIST SP 800-63B wants it: length and a list of leaked ones, no rules of letters and signs. Where Amazon's Data Protection Policy asks
otherwise, docs/compliance.md says so.
"""

import unicodedata
from functools import cache
from typing import Final

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from shared.errors import Expected

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 128
# Shorter names are part of too many words.
_MIN_NAME: Final = 4


class PasswordTooShort(Expected):
    """Short passwords are found by trying."""

    code = "password_too_short"


class PasswordTooLong(Expected):
    """Longer than anybody needs."""

    code = "password_too_long"


class PasswordHoldsName(Expected):
    """Whoever knows the person's name or e-mail address would try it."""

    code = "password_holds_name"


class PasswordLeaked(Expected):
    """Among the most frequent passwords of known leaks, or one of them with something appended."""

    code = "password_leaked"


def normalise_password(password: str) -> str:
    """The form that is hashed (NFKC): the same letters give the same password, whatever keyboard they were typed on."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, *, name: str, email: str) -> None:
    """Whether this may become the password of this person. Raises PasswordTooShort, PasswordTooLong, PasswordHoldsName, PasswordLeaked."""
    normalised = normalise_password(password)
    if len(normalised) < MIN_PASSWORD:
        raise PasswordTooShort(limit=MIN_PASSWORD)
    if len(normalised) > MAX_PASSWORD:
        raise PasswordTooLong(limit=MAX_PASSWORD)
    letters = normalised.casefold()
    names = [*_folded(name).split(), _folded(name), _folded(email).partition("@")[0]]
    if any(len(part) >= _MIN_NAME and part in letters for part in names):
        raise PasswordHoldsName
    if _is_leaked(letters):
        raise PasswordLeaked


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_leaked(letters: str) -> bool:
    unit = _repeated_unit(letters)
    if unit != letters and (len(unit) < _MIN_NAME or unit in _leaked()):
        return True
    if letters in _leaked():
        return True
    # "dragon2024!!" is "dragon", and "123456789012" a leaked one with two digits more.
    for end in range(len(letters) - 1, 0, -1):
        if letters[end].isalpha():
            return letters[: end + 1] in _leaked()
        if end >= len(letters) / 2 and letters[:end] in _leaked():
            return True
    return False


def _repeated_unit(letters: str) -> str:
    """The shortest text of which this one is a repetition: "ab" of "ababab"."""
    return letters[: (letters * 2).find(letters, 1)]


@cache
def _leaked() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"])
