"""Names of integrations: what one may look like, and when two are the same."""

import unicodedata
from typing import Final

from shared.errors import Expected

MAX_NAME: Final = 60


class NameEmpty(Expected):
    """Nothing is left after trimming."""

    code = "name_empty"


class NameTooLong(Expected):
    """More than 60 characters after trimming."""

    code = "name_too_long"


class NameTaken(Expected):
    """Another integration of the account has this name, in whatever case."""

    code = "name_taken"


def clean_name(entered: str) -> str:
    """The name as it is stored: NFC, one line, trimmed, without invisible characters. Raises NameEmpty, NameTooLong."""
    line = " ".join(entered.split())
    seen = "".join(character for character in line if character.isprintable())
    # Last, because what is invisible may have stood between two spaces, or between a letter and its accent.
    name = " ".join(unicodedata.normalize("NFC", seen).split())
    if not name:
        raise NameEmpty
    if len(name) > MAX_NAME:
        raise NameTooLong(limit=MAX_NAME)
    return name


def name_key(name: str) -> str:
    """Equal for names that a person would take for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
