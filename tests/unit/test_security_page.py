"""Each rule in the list of docs/security.md names tests, and these are tests: pytest finds and runs them, and they check something."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.cases import every_case

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text("utf-8")
NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAMED = sorted(set(NAME.findall(PAGE)))
LIST = PAGE.partition("| Rule | Tests |")[2]
RULES = [line for line in LIST.splitlines() if line.startswith("| ") and not line.startswith("| **")]
LEAVES_OUT = re.compile(r"\b(skip|skipif|xfail|fixture)\b")
CHECKS = re.compile(r"\b(raises|assert_\w+|expect)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions_of(path: str) -> dict[str, Function]:
    module = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name: node for node in module.body if isinstance(node, Function)}


def test_each_rule_names_a_test():
    assert len(RULES) > 40
    assert [rule for rule in RULES if not NAME.search(rule)] == []


def test_each_is_found_by_pytest_checks_something_and_is_never_left_out():
    with every_case() as case:
        for path, name in NAMED:
            with case(f"{path}::{name}"):
                assert Path(path).name.startswith("test_")
                assert name.startswith("test_")
                test = functions_of(path)[name]
                assert any(_is_check(node) for node in ast.walk(test))
                assert not [mark for mark in test.decorator_list if LEAVES_OUT.search(ast.unparse(mark))]


def _is_check(node: ast.AST) -> bool:
    """An assertion, or a call of something that makes one."""
    if isinstance(node, ast.Call):
        return CHECKS.search(ast.unparse(node.func)) is not None
    return isinstance(node, ast.Assert)
