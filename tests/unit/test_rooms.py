"""Each room says what it decides, and docs/architecture.md says the same."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "architecture.md"


def rooms() -> list[Path]:
    """Every folder of code below a service, and of what the services share."""
    found = {path.parent for top in ("services/*", "shared") for path in ROOT.glob(f"{top}/*/*.py")}
    return sorted(path.relative_to(ROOT) for path in found)


def row_of(room: Path) -> str:
    """The room's line in the map: the first paragraph of its docstring."""
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))
    assert docstring, f"{room}/__init__.py says nothing"
    first_paragraph = docstring.partition("\n\n")[0]
    return f"| `{room.name}/` | {' '.join(first_paragraph.split())} |"


@pytest.mark.parametrize("room", rooms(), ids=str)
def test_the_map_has_the_sentence_of_each_room(room: Path):
    section = MAP.read_text().partition(f"### {room.parent}/\n")[2].partition("\n#")[0]

    assert row_of(room) in section.splitlines(), f"docs/architecture.md needs this line: {row_of(room)}"


@pytest.mark.parametrize("parent", sorted({str(room.parent) for room in rooms()}))
def test_the_map_has_no_room_that_is_gone(parent: str):
    section = MAP.read_text().partition(f"### {parent}/\n")[2].partition("\n#")[0]

    named = {line.split("`")[1].rstrip("/") for line in section.splitlines() if line.startswith("| `")}
    assert named == {room.name for room in rooms() if str(room.parent) == parent}
