"""Whether a text says anything, or only repeats what the buyer wrote. Pure."""

import unicodedata

# What shows nothing: blanks, controls, direction marks and their like; accents without a letter.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"})
# Letters and signs that are blank: the fillers of Hangul, Braille without a dot.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def shows_nothing(text: str) -> bool:
    """Whether nothing of a text is to be seen."""
    return not _is_seen(text)


def says_something(text: str) -> bool:
    """Whether a line holds something to see that is neither a quotation (`>`) nor the line that introduces one ("… wrote:")."""
    lines = [line for line in text.splitlines() if _is_seen(line)]
    for place, line in enumerate(lines):
        is_introduction = line.rstrip().endswith(":") and _is_quote(lines[place + 1 : place + 2])
        if not _is_quote([line]) and not is_introduction:
            return True
    return False


def _is_quote(lines: list[str]) -> bool:
    return any(line.lstrip().startswith((">", "|")) for line in lines)


def _is_seen(text: str) -> bool:
    return any(
        unicodedata.category(character) not in _UNSEEN and character not in _BLANK for character in text
    )
