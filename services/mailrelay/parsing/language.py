"""Which language a text is in: by its script, or by words that only one of the known languages has."""

import re
from collections import Counter

from services.mailrelay.parsing.patterns import Wording, fold

# The first words tell as much as all of them.
MAX_CHARS = 5_000

_WORD = re.compile(r"[^\W\d_]+")
_KANA = re.compile("[\u3041-\u309f\u30a1-\u30fa]")
_ARABIC = re.compile("[\u0620-\u064a]")


def language_of(text: str, wording: Wording) -> str | None:
    """ISO 639-1; None where no language has more of its words in the text than every other."""
    start = fold(text[:MAX_CHARS])
    for script, language in ((_KANA, "ja"), (_ARABIC, "ar")):
        if len(script.findall(start)) > len(start) / 10:
            return language
    words = set(_WORD.findall(start))
    counts = Counter(wording.typical_words[word] for word in words & wording.typical_words.keys())
    most = counts.most_common(2)
    if not most or (len(most) == 2 and most[0][1] == most[1][1]):
        return None
    return most[0][0]
