"""The policy's lines as data, and their page, docs/compliance.md. Pure.

`tests/unit/connector/compliance/test_requirements.py` holds that every setting, file and test that a line names is there.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("requirements.toml")


class By(StrEnum):
    """By whom a point is met. `NOBODY`: we do otherwise, on purpose."""

    CODE = "code"
    CHECK = "check"
    OPERATOR = "operator"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that Amazon asks. `check`: which look at the installation decides, if it is met by one."""

    asks: str
    by: By
    how: str
    check: str | None
    settings: tuple[str, ...]
    code: tuple[str, ...]
    tests: tuple[str, ...]
    pages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the policy's table."""

    section: str
    topic: str
    points: tuple[Point, ...]


def load_lines() -> tuple[Line, ...]:
    """The lines of requirements.toml, in the policy's order."""
    told: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))
    return tuple(
        Line(line["section"], line["topic"], tuple(_point(point) for point in line["points"]))
        for line in told["line"]
    )


def _point(told: dict[str, Any]) -> Point:
    return Point(
        told["asks"],
        By(told["by"]),
        told["how"],
        told.get("check"),
        *(tuple(told.get(name, ())) for name in ("settings", "code", "tests", "pages")),
    )


RESERVATION: Final = "The lines follow the policy in force since 2025-11-25. A newer text is in force since 2026-08-25, and we have not seen it: read Amazon's before an audit."

_BEGINNING: Final = f"""\
# Amazon's Data Protection Policy

Each line of the policy, and of the Acceptable Use Policy, with what meets it: a setting, code and its tests, or the operator. The page is made of
`services/connector/compliance/requirements.toml` (`make api-docs`); a test holds that every file, setting and test named here is there.

{RESERVATION}

```
python -m services.connector compliance          # what this installation shows of each line
python -m services.connector compliance --json   # the same for programs
```

It reads settings, key file and database as the connector does, changes nothing, and prints counts and times, never a name or a secret. A point is

| Word | Means |
|---|---|
| `ok` | looked at just now, and so |
| `built in` | met by this version's code, whatever the installation; the tests named here show it |
| `to do` | looked at just now, and not so; what to do stands there |
| `to show` | nothing here can tell: the operator does it and shows it |
| `differs` | we do otherwise, on purpose; the reason stands there, to be explained to Amazon |

Exit code 1: something is to do, or could not be looked at. What is to show, or differs, does not change it: 0 does not say that the policy is fulfilled.
"""
_WORDS: Final = {
    By.CODE: "built in",
    By.CHECK: "looked at",
    By.OPERATOR: "**the operator's to show**",
    By.NOBODY: "**differs**",
}


def compliance_page(lines: tuple[Line, ...]) -> str:
    """docs/compliance.md."""
    return "\n".join([_BEGINNING.rstrip("\n"), *(text for line in lines for text in _section(line))]) + "\n"


def _section(line: Line) -> Iterator[str]:
    yield ""
    yield f"## {line.section}: {line.topic}"
    yield ""
    yield "| Amazon asks | Met by | How | Where |"
    yield "|---|---|---|---|"
    for point in line.points:
        where = [f"`{name}`" for name in (*point.settings, *point.code, *point.tests)]
        where += [f"[{page}]({page})" for page in point.pages]
        yield f"| {point.asks} | {_WORDS[point.by]} | {point.how} | {'<br>'.join(where)} |"
