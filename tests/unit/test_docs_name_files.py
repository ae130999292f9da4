"""The docs name files and headings that are there, and the site's navigation has every page: what moves takes its name in the docs along."""

import importlib.util
import re
from functools import cache
from pathlib import Path

from tests.cases import every_case

_ROOT = Path(__file__).parents[2]
_FIRST = [_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
_PAGES = [*sorted((_ROOT / "docs").rglob("*.md")), *_FIRST]
_PATH = re.compile(r"`((?:services|shared|migrations|deploy|tests|docs)/[A-Za-z0-9_./-]+)")
_MODULE = re.compile(r"`([a-z_0-9]+\.py)`")
# Of a link: the file, if it is another one, and the heading.
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_MODULES = {
    path.name
    for folder in ("services", "shared", "migrations", "deploy", "tests")
    for path in (_ROOT / folder).rglob("*.py")
}


@cache
def _headings(page: Path) -> frozenset[str]:
    """What a link may name on a page: its headings, as GitHub and the site write them."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text("utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return frozenset(found)


def test_every_file_that_a_page_names_is_there() -> None:
    with every_case() as case:
        for page in _PAGES:
            with case(page.relative_to(_ROOT)):
                text = page.read_text("utf-8")

                assert [path for path in _PATH.findall(text) if not (_ROOT / path).exists()] == []
                assert [module for module in _MODULE.findall(text) if module not in _MODULES] == []
                links = _LINK.findall(_FENCE.sub("", text))
                assert [link for link, _ in links if not (page.parent / link).exists()] == []
                assert [
                    f"{link}#{heading}"
                    for link, heading in links
                    if heading and heading not in _headings((page.parent / link).resolve() if link else page)
                ] == []


def test_every_page_is_in_the_sites_navigation_once() -> None:
    spec = importlib.util.spec_from_file_location("docs_conf", _ROOT / "docs/conf.py")
    assert spec is not None
    assert spec.loader is not None
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    named = [f"{page}.md" for pages in conf.NAVIGATION.values() for page in pages]
    for page, below in conf.BELOW.items():
        named += [str(path.relative_to(_ROOT)) for path in (_ROOT / page).parent.glob(f"{below}.md")]

    assert sorted([*named, f"{conf.root_doc}.md"]) == sorted(str(page.relative_to(_ROOT)) for page in _PAGES)


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [page.name[:4] for page in (_ROOT / "docs" / "adr").glob("*.md")]

    assert len(numbers) == len(set(numbers))
