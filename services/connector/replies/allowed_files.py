"""Which files may go to a buyer: what Amazon surely refuses is refused here, while the agent still chooses. Pure."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from shared.file_types import content_type_of
from shared.sniffing import sniff

_ALLOWED: Final = tomllib.loads(Path(__file__).with_name("allowed_files.toml").read_text("utf-8"))
MOST_BYTES: Final[int] = _ALLOWED["most_bytes"]
MOST_FILES: Final[int] = _ALLOWED["most_files"]
_TYPES: Final[dict[str, list[str]]] = _ALLOWED["endings"]
ENDINGS: Final = tuple(_TYPES)


class Refusal(StrEnum):
    """Why a file, or several together, cannot be sent."""

    EMPTY = "file_empty"
    TYPE = "file_type"
    CONTENT = "file_content"
    """The bytes are of another kind than the name says."""
    TOO_LARGE = "files_too_large"
    TOO_MANY = "too_many_files"
    INFECTED = "file_infected"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file is, or why it is refused."""

    content_type: str
    refusal: Refusal | None


def check_file(filename: str, content: bytes) -> Checked:
    """Look at a file by itself. `filename` is clean."""
    content_type = content_type_of(sniff(content), filename)
    _, dot, ending = filename.rpartition(".")
    types = _TYPES.get(ending.lower()) if dot else None
    if not content:
        return Checked(content_type, Refusal.EMPTY)
    if len(content) > MOST_BYTES:
        return Checked(content_type, Refusal.TOO_LARGE)
    if types is None:
        return Checked(content_type, Refusal.TYPE)
    return Checked(content_type, None if content_type in types else Refusal.CONTENT)


def check_together(sizes: Sequence[int]) -> Refusal | None:
    """Whether so many files of these sizes fit into one reply."""
    if len(sizes) > MOST_FILES:
        return Refusal.TOO_MANY
    return Refusal.TOO_LARGE if sum(sizes) > MOST_BYTES else None
