"""No transaction waits for the key provider, which may be a service on another host: nobody asks for keys while one is open."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases import every_case

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "services").rglob("*.py"))
# What opens a transaction or holds a connection: `sessions.begin()`, `sessions()`, `sessions.reading()`.
OPENS = {"begin", "reading"}


def asks_for_keys(node: ast.AST) -> bool:
    """`keyring.of(…)`, `provider.wrap(…)`, `provider.unwrap(…)`, whatever they are attributes of, and `keys_of(…)` of the inbox."""
    if not isinstance(node, ast.Call):
        return False
    if not isinstance(node.func, ast.Attribute):
        return ast.unparse(node.func) == "keys_of"
    owner = ast.unparse(node.func.value).rpartition(".")[2].lower()
    is_keyring = "keyring" in owner and node.func.attr in {"of", "open", "new_keys"}
    return is_keyring or node.func.attr in {"wrap", "unwrap"}


def opens_a_transaction(node: ast.AST) -> bool:
    if not isinstance(node, ast.AsyncWith):
        return False
    for item in node.items:
        for call in ast.walk(item.context_expr):
            if not isinstance(call, ast.Call):
                continue
            if isinstance(call.func, ast.Attribute) and call.func.attr in OPENS:
                return True
            if ast.unparse(call.func).rpartition(".")[2].endswith("sessions"):
                return True
    return False


def is_within_a_transaction(node: ast.AST) -> bool:
    """A function that is given a session is called while its transaction is open."""
    if not isinstance(node, ast.AsyncFunctionDef):
        return opens_a_transaction(node)
    arguments = [*node.args.args, *node.args.kwonlyargs]
    return any(a.annotation is not None and "AsyncSession" in ast.unparse(a.annotation) for a in arguments)


def within_transactions(source: str) -> Iterator[int]:
    """The lines of a file that ask for keys while a transaction is open."""
    for node in ast.walk(ast.parse(source)):
        if is_within_a_transaction(node):
            yield from (
                call.lineno for call in ast.walk(node) if isinstance(call, ast.Call) and asks_for_keys(call)
            )


def test_nobody_asks_for_keys_while_a_transaction_is_open():
    with every_case() as case:
        for path in FILES:
            with case(path.relative_to(ROOT)):
                assert list(within_transactions(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n async with sessions.begin() as session:\n  keys = await keyring.of(sessions, a)",
        "async def f():\n async with self._sessions() as session:\n  keys = await self._keyring.of(s, a)",
        "async def f():\n async with searches.slot(), sessions.reading() as r:\n  await provider.unwrap(a, b, c)",
        "async def f(session: AsyncSession):\n await provider.wrap(a, b)",
        "async def f():\n async with sessions.begin() as session:\n  keys = await keys_of(caller, sessions, keyring)",
    ],
)
def test_what_would_be_wrong_is_found(source: str):
    assert len(list(within_transactions(source))) == 1
