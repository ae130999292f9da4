"""docs/compliance.md is what requirements.toml says, and what a line names is there."""

import ast
import re
from functools import cache
from pathlib import Path

from services.connector.command_settings import SETTINGS as CONNECTOR
from services.connector.compliance.checks import CHECKS
from services.connector.compliance.requirements import By, compliance_page, load_lines
from services.mailrelay.__main__ import SETTINGS as MAILRELAY
from shared.settings import PREFIX

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "docs"
LINES = load_lines()
POINTS = [point for line in LINES for point in line.points]
SETTINGS = {
    f"{PREFIX}{name.upper()}"
    for each in (*CONNECTOR.values(), *MAILRELAY.values())
    for name in each.model_fields
}
# The lines of the policy's table, and the Acceptable Use Policy.
SECTIONS = "1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 2.1 2.2, 2.3 2.4 2.5 2.6 2.7 2.8 AUP"


def test_the_page_is_what_the_lines_say():
    assert (DOCS / "compliance.md").read_text("utf-8") == compliance_page(LINES), (
        "The lines have changed. Write the page anew: make api-docs"
    )


def test_no_line_of_the_policy_is_left_out():
    assert " ".join(line.section for line in LINES) == SECTIONS


def test_every_setting_file_and_page_that_a_point_names_is_there():
    told = "\n".join(f"{point.asks}\n{point.how}" for point in POINTS)

    assert {name for point in POINTS for name in point.settings} | set(
        re.findall(r"REPLYCO_[A-Z_]+", told)
    ) <= SETTINGS
    assert [path for point in POINTS for path in point.code if not (ROOT / path).exists()] == []
    assert [path for point in POINTS for path in point.pages if not (DOCS / path).is_file()] == []


@cache
def marks_of(path: str) -> dict[str, list[str]]:
    """The functions of a file, with their decorators."""
    return {
        node.name: [ast.unparse(mark) for mark in node.decorator_list]
        for node in ast.parse((ROOT / path).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_that_a_point_names_is_one_and_is_never_left_out():
    for path, _, name in (test.partition("::") for point in POINTS for test in point.tests):
        assert name.startswith("test_")
        assert name in marks_of(path), f"{path} has no {name}"
        assert not [mark for mark in marks_of(path)[name] if re.search(r"\b(skip|skipif|xfail)\b", mark)], (
            name
        )


def test_what_is_built_in_names_code_and_what_is_looked_at_names_a_look():
    named = [point.check for point in POINTS if point.by is By.CHECK]

    assert sorted(map(str, named)) == sorted(CHECKS)
    assert [point.asks for point in POINTS if point.check and point.by is not By.CHECK] == []
    assert [point.asks for point in POINTS if point.by is By.CODE and not point.code] == []
