"""The texts of the pages: a folder a language, and in it a file for the first word of its keys (`inbox.json` holds `inbox.…`)."""

import json
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("de", "en")
_FOLDER: Final = Path(__file__).parent / "static" / "texts"


def page_texts(language: str) -> dict[str, str]:
    """All texts of a language, by key. Raises FileNotFoundError for a language that there is not."""
    texts: dict[str, str] = {}
    for path in sorted((_FOLDER / language).iterdir()):
        texts |= json.loads(path.read_text("utf-8"))
    return texts
