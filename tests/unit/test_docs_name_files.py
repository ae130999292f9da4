"""The docs name files that are there: a file that moves takes its name in the docs along."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGES = [*sorted((_ROOT / "docs").rglob("*.md")), _ROOT / "README.md", _ROOT / "CONTRIBUTING.md"]
_PATH = re.compile(r"`((?:services|shared|migrations|deploy|tests|docs)/[A-Za-z0-9_./-]+)")
_MODULE = re.compile(r"`([a-z_0-9]+\.py)`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_MODULES = {
    path.name
    for folder in ("services", "shared", "migrations", "deploy", "tests")
    for path in (_ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")

    assert [path for path in _PATH.findall(text) if not (_ROOT / path).exists()] == []
    assert [module for module in _MODULE.findall(text) if module not in _MODULES] == []
    assert [link for link in _LINK.findall(text) if not (page.parent / link).exists()] == []
