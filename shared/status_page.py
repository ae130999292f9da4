"""The status as JSON for programs, and as a plain page for an operator's browser."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}"
    "h2{margin:1.5rem 0 0;font-size:1.1rem}"
)


def status_json(facts: Mapping[str, object]) -> bytes:
    """Times are RFC 3339, in UTC."""
    return json.dumps(facts, default=_written, indent=2).encode() + b"\n"


def status_page(facts: Mapping[str, object]) -> bytes:
    """A page without scripts: the single facts in one table, each list in one of its own."""
    title = escape(f"{facts.get('role')} {facts.get('version')}")
    single = {name: value for name, value in facts.items() if not _is_list(value)}
    lists = {name: value for name, value in facts.items() if _is_list(value)}
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
        "<table>",
        *(
            f'<tr><th scope="row">{_words(name)}</th><td>{_cell(value)}</td></tr>'
            for name, value in single.items()
        ),
        "</table>",
        *(f"<h2>{_words(name)}</h2>{_table(rows)}" for name, rows in lists.items()),
        "</html>\n",
    ]
    return "".join(parts).encode()


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _table(rows: object) -> str:
    assert isinstance(rows, Sequence)
    if not rows:
        return "<p>none</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th scope="col">{_words(name)}</th>' for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(row.get(name))}</td>' for name in names)}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(_written(value))


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)
