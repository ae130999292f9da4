"""Whatever is written into the audit log is said on its page, in both languages."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from services.connector.web.texts import page_texts

CONNECTOR = Path(__file__).parents[4] / "services" / "connector"
# Where the action stands in a call that makes an entry.
_POSITION = {"audit_entry": 1, "person_audit_entry": 2, "system_audit_entry": 1}
_TEXT = "audit.action."
# No longer written; the entries that earlier versions have written stay.
_FORMER = {"seller_known_elsewhere"}


def _action_of(call: ast.Call) -> ast.expr | None:
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "action"), None)
    match call.func:
        case ast.Name("AuditEntry"):
            return named
        case ast.Name(name) if name in _POSITION:
            return named or call.args[_POSITION[name]]
    return None


def _actions_in(module: ast.Module) -> Iterator[tuple[int, str | None]]:
    """(line, action) of each entry that is made; None where the action cannot be read from its function."""
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name in _POSITION:
            continue
        for call in ast.walk(function):
            if not isinstance(call, ast.Call):
                continue
            action = _action_of(call)
            if isinstance(action, ast.Name):
                assigned = [
                    each.value
                    for each in ast.walk(function)
                    if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == action.id
                ]
                yield from ((call.lineno, text) for value in assigned for text in _texts_in(value))
                if not assigned:
                    yield call.lineno, None
            elif action is not None:
                yield from ((action.lineno, text) for text in _texts_in(action))


def _texts_in(value: ast.expr) -> Iterator[str | None]:
    match value:
        case ast.Constant(str(text)):
            yield text
        case ast.IfExp(_, one, other):
            yield from _texts_in(one)
            yield from _texts_in(other)
        case _:
            yield None


@cache
def _written() -> set[str]:
    found = {
        (path.name, line, action)
        for path in CONNECTOR.rglob("*.py")
        # To parse all files takes a second.
        if re.search("audit_entry|AuditEntry", source := path.read_text("utf-8"))
        for line, action in _actions_in(ast.parse(source))
    }
    assert not [each for each in found if each[2] is None], "name the action where the entry is made"
    return {action for _, _, action in found if action is not None}


@pytest.mark.parametrize("language", ["de", "en"])
def test_each_action_has_a_text_and_each_text_an_action(language: str):
    texts = page_texts(language)

    told = {key.removeprefix(_TEXT) for key in texts if key.startswith(_TEXT)}

    assert told == _written() | _FORMER
