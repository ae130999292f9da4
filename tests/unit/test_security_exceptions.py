"""Ruff's security rules (bandit's, S) hold everywhere; where one does not, the reason stands beside it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXCEPTION = re.compile(r"# noqa: (?:[A-Z]+\d+, ?)*S\d+(?:, ?[A-Z]+\d+)*(.*)$", re.MULTILINE)
CODE = [
    path
    for top in ("services", "shared", "deploy", "migrations", "docs")
    for path in (ROOT / top).rglob("*.py")
]
RUFF = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]


def test_the_rules_are_on_and_only_tests_are_free_of_them():
    assert "S" in RUFF["select"]
    # assert narrows types.
    assert {rule for rule in RUFF["ignore"] if re.fullmatch(r"S\d*", rule)} == {"S101"}
    assert [
        place
        for place, rules in RUFF["per-file-ignores"].items()
        if any(re.fullmatch(r"S\d*", each) for each in rules)
    ] == ["tests/**"]


def test_every_exception_has_its_reason():
    exceptions = [(path, reason) for path in CODE for reason in EXCEPTION.findall(path.read_text("utf-8"))]

    assert len(exceptions) > 20
    assert [
        str(path.relative_to(ROOT)) for path, reason in exceptions if not re.match(r" - \w", reason)
    ] == []
