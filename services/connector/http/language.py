"""Which of the two languages, German or English, an answer has."""

from enum import StrEnum


class Language(StrEnum):
    DE = "de"
    EN = "en"


def preferred_language(accept_language: str | None) -> Language:
    """What an Accept-Language header (RFC 9110 §12.5.4) likes best of the two; English if neither is named."""
    best, best_weight = Language.EN, 0.0
    for item in (accept_language or "")[:200].split(","):
        tag, _, parameter = item.partition(";")
        try:
            weight = float(parameter.strip().lower().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        primary = tag.strip().lower().partition("-")[0]
        if primary in set(Language) and best_weight < weight <= 1:
            best, best_weight = Language(primary), weight
    return best
