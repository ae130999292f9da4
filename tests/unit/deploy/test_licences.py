"""docs/licences.md is what the pinned packages tell, and each licence is an allowed one."""

from pathlib import Path

import pytest

from deploy.dependencies.licences import is_allowed, licences, page
from deploy.dependencies.pins import RUN_TIME, pins

PAGE = Path(__file__).parents[3] / "docs" / "licences.md"


def test_the_page_is_what_the_packages_tell():
    assert PAGE.read_text("utf-8") == page(), (
        "The pinned packages have changed. Write the page anew: make api-docs"
    )


def test_every_licence_is_an_allowed_one():
    assert [(name, licence) for name, licence in licences() if not is_allowed(licence)] == []


def test_what_runs_on_linux_is_there_and_what_is_for_other_machines_is_not():
    names = {name for name, _ in pins(RUN_TIME)}

    assert {"cryptography", "uvloop", "fasttext-predict", "fasttext-predict-v2"} <= names
    assert not names & {"colorama", "httpx2-jsfetch", "pytest"}


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT AND GPL-3.0-only) OR BSD-3-Clause", True),
        ("LGPL-3.0-or-later", False),
        ("Proprietary", False),
    ],
)
def test_what_an_expression_allows(expression: str, *, allowed: bool):
    assert is_allowed(expression) is allowed
