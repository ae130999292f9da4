"""The rules as data: what each column is and how long it is kept, and their page, docs/privacy.md. Pure.

`tests/unit/connector/privacy/test_rules.py` holds them against the tables: a column without a rule, a personal one that is not sealed and a
rule whose column is gone are found there.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("rules.toml")


class Kind(StrEnum):
    """What a column is to those whose data it holds."""

    PERSONAL = "personal"
    HASHED = "hashed"
    SECRET = "secret"  # noqa: S105 - a word of the rules
    STAFF = "staff"
    PLAIN = "plain"


class Origin(StrEnum):
    """From where it comes."""

    SP_API = "sp-api"
    MAIL = "mail"
    SELLER = "seller"
    US = "us"


@dataclass(frozen=True, slots=True)
class ColumnRule:
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class TableRule:
    """`ends`, `personal_ends`: the names of what the table, and what is personal in it, ends by."""

    what: str
    origin: Origin
    ends: str
    personal_ends: str
    columns: Mapping[str, ColumnRule]


@dataclass(frozen=True, slots=True)
class Rules:
    """`common`: columns that are the same in every table. `of_nobody`: tables that belong to no customer, and what is in them."""

    ends: Mapping[str, Mapping[str, str]]
    common: Mapping[str, str]
    tables: Mapping[str, TableRule]
    of_nobody: Mapping[str, str]


def load_rules() -> Rules:
    """The rules of rules.toml."""
    told: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))
    ends, common, of_nobody = told.pop("ends"), told.pop("common"), told.pop("of_nobody")
    return Rules(ends, common, {name: _table(table) for name, table in told.items()}, of_nobody)


def _table(told: Mapping[str, Any]) -> TableRule:
    columns = {
        name: ColumnRule(kind, what)
        for kind in Kind
        for names, what in told.get(kind, {}).items()
        for name in names.split()
    }
    return TableRule(
        told["what"],
        Origin(told["source"]),
        told["ends"],
        told.get("personal_ends", told["ends"]),
        columns,
    )


_BEGINNING: Final = """\
# Which data, and how long

What is stored of whom, from where it comes, what it is for, with what it is sealed, and when it ends. The page is made of
`services/connector/privacy/rules.toml` (`make api-docs`), which a test holds against the tables: nothing is stored without a line here.
How an operator purges, exports and erases: [operations/privacy.md](operations/privacy.md). From whom it is protected, and with what:
[security.md](security.md).

Sources: *SP-API*, what Amazon's interfaces say, which Amazon's Data Protection Policy is about; *mail*, what came to the seller's own address; *seller*, what
people who work for the seller entered; *us*, what the product notes of its own work.

Kinds: **personal**, of buyers or of whoever wrote a mail: sealed with the account's data key, AES-256-GCM, bound to table, column and row (a mail as it
came: with a key of its own, sealed in turn; a large one lies sealed in the blob store); **hashed**: a keyed hash, by which it is found again
and from which nothing is read; **secret**: sealed, wrapped or hashed; **staff**: of those who work for the seller; *plain*: none of these.

## When what ends

| Rule | Ends | Why |
|---|---|---|
"""
_BEHIND_RULES: Final = """
`python -m services.connector privacy report` counts what is over and not gone yet; a worker ends it every night. What a seller's own programs
took over REST is theirs to end.
"""
_NAMES: Final = {Origin.SP_API: "SP-API", Origin.MAIL: "mail", Origin.SELLER: "seller", Origin.US: "us"}


def rules_page(rules: Rules) -> str:
    """docs/privacy.md."""
    lines = [_BEGINNING.rstrip("\n")]
    lines += [f"| {name} | {end['after']} | {end['why']} |" for name, end in rules.ends.items()]
    lines += [_BEHIND_RULES, "## What lies where", ""]
    common = ", ".join(f"`{name}` ({what})" for name, what in rules.common.items())
    lines += [f"In most tables, and always plain: {common}.", ""]
    for name, table in rules.tables.items():
        lines += [
            f"### {name}",
            "",
            f"{table.what[0].upper()}{table.what[1:]}. Source: {_NAMES[table.origin]}. {_end_of(table)}",
            "",
        ]
        lines += ["| Column | Kind | What it is |", "|---|---|---|"]
        lines += [f"| {names} | {kind} | {what} |" for names, kind, what in _rows(table)]
        lines.append("")
    lines += ["## Tables of no customer", "", "| Table | What is in it |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in sorted(rules.of_nobody.items())]
    return "\n".join(lines) + "\n"


def _end_of(table: TableRule) -> str:
    if table.personal_ends == table.ends:
        return f"Ends by: {table.ends}."
    return f"What is personal ends by: {table.personal_ends}; the rest by: {table.ends}."


def _rows(table: TableRule) -> Iterator[tuple[str, str, str]]:
    grouped: dict[ColumnRule, list[str]] = {}
    for name, rule in table.columns.items():
        grouped.setdefault(rule, []).append(f"`{name}`")
    for rule, names in grouped.items():
        kind = str(rule.kind) if rule.kind is Kind.PLAIN else f"**{rule.kind}**"
        yield ", ".join(names), kind, rule.what
