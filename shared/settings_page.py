"""The page of all settings, written from the classes that read them: docs/operations/settings.md. Each service prints its own part."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from shared.settings import PREFIX, SECRETS_FOLDER

# Names say their unit, for whoever reads one in a file of settings.
_UNITS: Final = (
    "bytes",
    "seconds",
    "minutes",
    "hours",
    "days",
    "months",
    "per_second",
    "per_minute",
    "per_hour",
)

BEGINNING: Final = f"""# Settings

Written from the code by `make api-docs`. A process reads each one from an environment variable, or from a file of that name in the folder that
`{SECRETS_FOLDER}` names; one that is missing or wrong stops the start, with its name and the cure. What they are for, in order:
[running.md](running.md), and of the mail front [smtp.md](smtp.md).
"""


def settings_section(title: str, readers: Mapping[str, type[BaseSettings]]) -> str:
    """A table of the settings of a service. `readers`: which command reads which class. Raises ValueError if one has no description."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for reader, settings_class in readers.items():
        for name, field in settings_class.model_fields.items():
            if not field.description:
                raise ValueError(f"{settings_class.__name__}.{name} has no description")
            row = (f"`{PREFIX}{name.upper()}`", _default(field), _unit(name), _effect(field))
            rows.setdefault(row, []).append(reader)
    lines = [
        f"| {name} | {default} | {unit} | {effect} | {', '.join(read_by)} |"
        for (name, default, unit, effect), read_by in sorted(rows.items())
    ]
    table = ["| Setting | Default | Unit | Value and effect | Read by |", "|---|---|---|---|---|", *lines]
    return f"\n## {title}\n\n" + "\n".join(table) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value in ("", ()) or isinstance(value, SecretStr):
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(str(each) for each in value)}`"
    return f"`{value}`"


def _unit(name: str) -> str:
    found = re.search(rf"(?:^|_)({'|'.join(_UNITS)})$", name)
    return found.group(1).replace("_", " ") if found else ""


def _effect(field: FieldInfo) -> str:
    assert field.description
    text = field.description.replace("|", "\\|").replace("\n", " ")
    return text[0].upper() + text[1:]
