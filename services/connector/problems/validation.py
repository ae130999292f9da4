"""What is wrong with one field of a request, in both languages: the `errors` of the problem `invalid_request`.

Made from the kind of the mistake and the bounds of our own schema, never from what was sent: that may be a password.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.connector.http.language import Language

# Hostile requests can have thousands of mistakes.
_MAX_ERRORS: Final = 20
_QUOTED: Final = re.compile(r"'([^']*)'")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,60}")

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "missing": ("This is missing.", "Diese Angabe fehlt."),
    "extra_forbidden": ("This field is not known here.", "Dieses Feld ist hier nicht bekannt."),
    "string_too_long": ("At most {max_length} characters.", "Höchstens {max_length} Zeichen."),
    "string_too_short": ("At least {min_length} characters.", "Mindestens {min_length} Zeichen."),
    "string_pattern_mismatch": ("This does not have the form that is needed here.", "Das hat nicht die Form, die hier nötig ist."),
    "string_type": ("This must be a text.", "Das muss ein Text sein."),
    "string_unicode": ("This text is not valid Unicode.", "Dieser Text ist kein gültiges Unicode."),
    "bool_type": ("This must be true or false.", "Das muss true oder false sein."),
    "bool_parsing": ("This must be true or false.", "Das muss true oder false sein."),
    "int_type": ("This must be a whole number.", "Das muss eine ganze Zahl sein."),
    "int_parsing": ("This must be a whole number.", "Das muss eine ganze Zahl sein."),
    "int_from_float": ("This must be a whole number.", "Das muss eine ganze Zahl sein."),
    "list_type": ("This must be a list.", "Das muss eine Liste sein."),
    "too_short": ("The list is too short: at least {min_length}.", "Die Liste ist zu kurz: mindestens {min_length}."),
    "too_long": ("The list is too long: at most {max_length}.", "Die Liste ist zu lang: höchstens {max_length}."),
    "greater_than_equal": ("At least {ge}.", "Mindestens {ge}."),
    "less_than_equal": ("At most {le}.", "Höchstens {le}."),
    "enum": ("One of: {expected}.", "Eines von: {expected}."),
    "literal_error": ("One of: {expected}.", "Eines von: {expected}."),
    "uuid_parsing": ("This must be an id of ours.", "Das muss eine unserer Ids sein."),
    "uuid_type": ("This must be an id of ours.", "Das muss eine unserer Ids sein."),
    "datetime_from_date_parsing": ("A time such as 2026-12-31T12:00:00Z.", "Eine Zeit wie 2026-12-31T12:00:00Z."),
    "datetime_parsing": ("A time such as 2026-12-31T12:00:00Z.", "Eine Zeit wie 2026-12-31T12:00:00Z."),
    "timezone_aware": ("The time needs its zone, such as Z.", "Die Zeit braucht ihre Zone, etwa Z."),
    "model_attributes_type": (
        "This must be a JSON object, sent with Content-Type: application/json.",
        "Das muss ein JSON-Objekt sein, gesendet mit Content-Type: application/json.",
    ),
    "dict_type": ("This must be a JSON object.", "Das muss ein JSON-Objekt sein."),
    "unknown_time_zone": (
        "This is not a time zone of the IANA database, such as Europe/Berlin.",
        "Das ist keine Zeitzone der IANA-Datenbank, wie etwa Europe/Berlin.",
    ),
    "country_or_integration": (
        "Give either country or integration_id.",
        "Nötig ist entweder country oder integration_id.",
    ),
    "country_integration_or_link": (
        "Give one of country, integration_id and link.",
        "Nötig ist eines von country, integration_id und link.",
    ),
    "messages_or_from": (
        "Give either message_ids or from_message_id.",
        "Nötig ist entweder message_ids oder from_message_id.",
    ),
    "email": (
        "This must be one e-mail address, such as erika@seller.example.",
        "Das muss eine einzelne E-Mail-Adresse sein, wie etwa erika@seller.example.",
    ),
    "not_of_people": (
        "Only an API key has inbox.replies; people who may edit inbox.messages may reply.",
        "Nur ein API-Schlüssel hat inbox.replies; wer inbox.messages bearbeiten darf, darf antworten.",
    ),
    "status_or_snooze": (
        "Give either status or snoozed_until.",
        "Nötig ist entweder status oder snoozed_until.",
    ),
    "one_way": ("Give exactly one way.", "Nötig ist genau ein Weg."),
    "control_characters": ("Control characters are not allowed.", "Steuerzeichen sind nicht erlaubt."),
}  # fmt: skip
# Kinds of mistakes that have a sentence of their own.
OF_ITS_OWN_KIND: Final = _TEXTS.keys()
_EMPTY: Final = ("Please fill this in.", "Bitte ausfüllen.")
_OTHER: Final = ("This value is not valid.", "Dieser Wert ist nicht gültig.")


def field_problems(mistakes: Sequence[Mapping[str, Any]], language: Language) -> list[dict[str, str]]:
    """Field, code and detail of pydantic's mistakes."""
    return [
        {
            "field": _field(mistake["loc"]),
            "code": mistake["type"],
            "detail": _detail(mistake["type"], mistake.get("ctx") or {}, language),
        }
        for mistake in mistakes[:_MAX_ERRORS]
    ]


def _field(location: Sequence[str | int]) -> str:
    """Where it is; a name that the caller has made up is shown only if it looks like a name."""
    steps = [str(step) for step in (location[1:] or location)][:10]
    return ".".join(step if _PLAIN_NAME.fullmatch(step) else "?" for step in steps)


def _detail(code: str, bounds: Mapping[str, Any], language: Language) -> str:
    is_empty = code == "string_too_short" and bounds.get("min_length") == 1
    english, german = _EMPTY if is_empty else _TEXTS.get(code, _OTHER)
    text = german if language is Language.DE else english
    return text.format_map({name: _bound(name, value) for name, value in bounds.items()})


def _bound(name: str, value: object) -> str:
    """A bound of the schema; of what is expected only the values, for pydantic puts quotes and an English "or" between them."""
    values = _QUOTED.findall(str(value)) if name == "expected" else []
    return ", ".join(values) or str(value)
