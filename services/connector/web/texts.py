"""The texts of the pages: a folder a language, and in it a file for the first word of its keys (`inbox.json` holds `inbox.…`).

German addresses people with "du". The folder `de-sie` holds only what differs for an account, or a person, that chose "Sie".
"""

import json
import re
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("de", "en")
SIE: Final = "de-sie"
TEXT_SETS: Final = ("de", SIE, "en")
_FOLDER: Final = Path(__file__).parent / "static" / "texts"
# "inbox.title", and `reply.state.${state}`, of which what stands before the first ${ is known.
_KEY: Final = re.compile(r"\"([a-z_]+(?:\.\w+)+)\"|`([a-z_]+\.[\w.]*)\$\{")


def page_texts(text_set: str) -> dict[str, str]:
    """All texts of a language or of German with "Sie", by key. Raises FileNotFoundError for a set that there is not."""
    texts = page_texts("de") if text_set == SIE else {}
    return texts | own_texts(text_set)


def own_texts(text_set: str) -> dict[str, str]:
    """What the folder of a set says itself."""
    texts: dict[str, str] = {}
    for path in sorted((_FOLDER / text_set).iterdir()):
        texts |= json.loads(path.read_text("utf-8"))
    return texts


def keys_in(script: str) -> frozenset[str]:
    """How the keys begin that a script can ask for: `a.b` also stands for `a.b.one`."""
    return frozenset(key or start for key, start in _KEY.findall(script))
