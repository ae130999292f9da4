"""A migration does to a table that grows only what CONTRIBUTING allows: nothing that mail would wait for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

VERSIONS: Final = Path(__file__).parents[2] / "migrations" / "versions"
GROWING: Final = frozenset(
    {
        "accepted_mail",
        "attachments",
        "audit_log",
        "conversation_orders",
        "conversation_threads",
        "conversations",
        "events",
        "message_digests",
        "messages",
        "read_log",
        "webhook_deliveries",
    }
)
# With the place of the table among their arguments. They look at every row, and hold a lock meanwhile.
SLOW: Final = {
    "create_check_constraint": 1,
    "create_foreign_key": 1,
    "create_index": 1,
    "create_unique_constraint": 1,
    "drop_index": 1,
}
WRITES: Final = re.compile(r"\s*(?:UPDATE|INSERT INTO|DELETE FROM)\s+(\w+)", re.IGNORECASE)


def calls(tree: ast.AST, module: str) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a module's functions, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == module:
                yield node.func.attr, node


def texts(node: ast.Call) -> list[str]:
    return [
        each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def refused(source: str) -> list[str]:
    """What a migration does that mail would wait for."""
    tree = ast.parse(source)
    made = {texts(node)[0] for name, node in calls(tree, "op") if name == "create_table"}
    found = []
    for name, node in calls(tree, "op"):
        given = texts(node)
        tables = {given[SLOW[name]]} if name in SLOW and len(given) > SLOW[name] else set()
        tables |= {
            str(keyword.value.value)
            for keyword in node.keywords
            if keyword.arg == "table_name" and isinstance(keyword.value, ast.Constant)
        }
        if name == "execute" and given and (written := WRITES.match(given[0])):
            tables = {written[1]}
        found += [f"op.{name} on {table}" for table in tables & GROWING - made]
    changes = {name for name, _ in calls(tree, "op")} - {"f", "get_bind", "get_context"}
    if changes and any(calls(tree, "online")):
        found.append("changes of one transaction beside steps of migrations/online.py")
    return found


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("*.py")), ids=lambda path: path.stem)
def test_a_migration_lets_mail_in(path: Path):
    assert refused(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('op.create_index("ix", "messages", ["kind"])', "op.create_index on messages"),
        (
            'op.create_check_constraint("ck", "attachments", "true")',
            "op.create_check_constraint on attachments",
        ),
        ('op.drop_index("ix", table_name="conversations")', "op.drop_index on conversations"),
        ("op.execute(\"UPDATE conversations SET kind = 'other'\")", "op.execute on conversations"),
        (
            'op.add_column("messages", None); online.drop_index("ix")',
            "changes of one transaction beside steps of migrations/online.py",
        ),
    ],
)
def test_what_mail_would_wait_for_is_found(line: str, why: str):
    assert refused(line) == [why]


def test_a_table_that_is_made_here_has_no_rows_yet():
    assert refused('op.create_table("events"); op.create_index("ix", "events", ["id"])') == []
