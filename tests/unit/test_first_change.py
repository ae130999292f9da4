"""The first change that CONTRIBUTING.md leads through, on a copy of the files that it touches: its commands do what the page says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALK = (
    (ROOT / "CONTRIBUTING.md")
    .read_text("utf-8")
    .partition("## Your first change in ten minutes\n")[2]
    .partition("\n## ")[0]
)
BLOCKS = [
    re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in re.findall(r"```sh\n(.*?)```", WALK, re.DOTALL)
]
TEXTS = Path("services/connector/web/static/texts")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / TEXTS, tmp_path / TEXTS)
    return tmp_path


def typed(block: str, clone: Path) -> list[str]:
    """What its commands print; `make` is only looked at."""
    told = []
    for line in block.splitlines():
        if line.startswith("make "):
            assert_target_is_there(line)
            continue
        before = contents(clone)
        done = subprocess.run(line, shell=True, cwd=clone, check=True, capture_output=True, text=True)
        assert line.startswith("grep") or contents(clone) != before, f"{line} changes nothing"
        told.append(done.stdout)
    return told


def contents(clone: Path) -> dict[str, str]:
    return {str(path): path.read_text("utf-8") for path in sorted(clone.rglob("*.json"))}


def assert_target_is_there(line: str) -> None:
    _, target, *arguments = line.split()
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), line
    for argument in arguments:
        name, _, path = argument.partition("=")
        assert name == "TESTS"
        assert (ROOT / path).is_dir(), line


def differing_placeholders(clone: Path) -> list[str]:
    """What tests/unit/connector/web/test_texts.py would name."""
    found = {}
    for language in ("de", "en"):
        text = (clone / TEXTS / language / "integrations.json").read_text("utf-8")
        found[language] = {
            key: set(re.findall(r"\{(\w+)\}", said)) for key, said in re.findall(r'"([\w.]+)": "(.*)"', text)
        }
    return [key for key in found["de"] if found["de"][key] != found["en"][key]]


def test_the_change_is_made_and_the_mistake_is_one(clone: Path):
    change, mistake = BLOCKS

    [found, *_] = typed(change, clone)
    assert '"integrations.add": "+ Add integration"' in found
    assert '"+ Store verbinden"' in (clone / TEXTS / "de/integrations.json").read_text("utf-8")
    assert differing_placeholders(clone) == []
    typed(mistake, clone)
    assert differing_placeholders(clone) == ["integrations.add"]


def test_every_target_that_the_walk_names_is_there():
    for line in re.findall(r"`(make [^`]+)`", WALK):
        assert_target_is_there(line.partition(" && ")[0])
