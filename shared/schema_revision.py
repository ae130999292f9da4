"""Which shape of the tables this code needs, and whether a database has it.

Migrations suit the code from before them, too, so a database that is ahead of the code serves it: that is how an upgrade rolls.
Code that is ahead of its database would fail at the first new column, so it is not ready.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

# Asked by every role; what it may read is in migrations/roles.sql.
FIND_REVISION: Final = "SELECT version_num FROM alembic_version"
_VERSIONS: Final = Path(__file__).parents[1] / "migrations" / "versions"
_NAMED: Final = re.compile(r'^(down_)?revision\b[^=\n]*= *"([^"]+)"', re.MULTILINE)
_CURE: Final = "Run `python -m migrations upgrade`."


class Revisions(NamedTuple):
    """The migrations that come with this code: all of them, and the last one."""

    known: frozenset[str]
    head: str


@cache
def packaged_revisions(folder: Path = _VERSIONS) -> Revisions:
    """Read from the files' first lines: to load Alembic would take longer than the rest of a start."""
    known: set[str] = set()
    followed: set[str] = set()
    for path in folder.glob("*.py"):
        for is_down, revision in _NAMED.findall(path.read_text("utf-8")):
            (followed if is_down else known).add(revision)
    [head] = known - followed
    return Revisions(frozenset(known), head)


def schema_problem(found: str | None, revisions: Revisions) -> str | None:
    """Why this code cannot work on a database at this revision, with the cure; None if it can."""
    if found is None:
        return f"the database has no tables that this role may see. {_CURE}"
    if found == revisions.head or found not in revisions.known:
        return None
    return f"the database's tables are at {found}, this version needs {revisions.head}. {_CURE}"
