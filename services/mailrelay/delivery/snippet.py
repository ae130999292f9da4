"""The beginning of a message as a list shows it. Pure."""

import re
import unicodedata
from typing import Final

from services.mailrelay.parsing.patterns import WORDING
from services.mailrelay.parsing.quoting import without_quotes

MAX_SNIPPET_CHARS: Final = 160
# A cut looks for the end of a word this far back; what has longer words, or none, is cut where it is.
_MAX_STEP_BACK: Final = 20
_ELLIPSIS: Final = "…"
# A beginning of this size has more than enough words, also where most of it is blank or quoted.
_LOOKED_AT_CHARS: Final = 4_000
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]+")
# Marks that embed, override or isolate a direction: what they begin may not end before the cut.
_DIRECTIONS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def snippet_of(text: str) -> str | None:
    """The first words of a message on one line, without what it quotes and what introduces that; None if it has none."""
    own = without_quotes(text[:_LOOKED_AT_CHARS], WORDING)
    words = " ".join(_CONTROLS.sub(" ", _DIRECTIONS.sub("", own)).split())
    if len(words) <= MAX_SNIPPET_CHARS:
        return words or None
    room = MAX_SNIPPET_CHARS - len(_ELLIPSIS)
    end = words.rfind(" ", room - _MAX_STEP_BACK, room + 1)
    if end < 0:
        end = room
        # A letter keeps its accents, or goes with them.
        while unicodedata.combining(words[end]):
            end -= 1
    return words[:end].rstrip(" ,;:.-") + _ELLIPSIS
