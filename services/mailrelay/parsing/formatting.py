"""Whether a mail's HTML shows more than its text does. Pure.

Programs write nearly every mail twice. Where the HTML only wraps the same words in paragraphs, nobody has to see it a second time.
"""

import re
from html import unescape
from typing import Final

from services.mailrelay.parsing.decoding import clean_text

# They set words apart from others. What is not among them (p, div, span, br, pre, blockquote, hr) only says where lines end.
_SHAPES: Final = frozenset(
    {"b", "strong", "i", "em", "u", "s", "sub", "sup", "small", "code", "ul", "ol"}
    | {"h1", "h2", "h3", "h4", "h5", "h6"}
)
# Cleaned HTML has these attributes only, quoted, and no angle in its words.
_TAG: Final = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:\s+[a-z]+="[^"]*")*)\s*/?>')
_ATTRIBUTE: Final = re.compile(r'([a-z]+)="([^"]*)"')
# A quote's marks are in the text what <blockquote> is in the HTML.
_BETWEEN_WORDS: Final = re.compile(r"[\s>\u200b\ufeff\u00ad]+")
# Each is looked for in the whole text. Whoever has more links than this has more than words.
_MOST_LINKS: Final = 10


def has_formatting(cleaned: str | None, text: str) -> bool:
    """Whether HTML that `safe_html.make_safe` has cleaned differs from the text beside it by more than wrapping."""
    if cleaned is None:
        return False
    links, cells = set[str](), 0
    for tag in _TAG.finditer(cleaned):
        closes, name, attributes = tag.groups()
        if closes:
            continue
        values = dict(_ATTRIBUTE.findall(attributes))
        # A table of one cell is a frame.
        cells += name in {"td", "th"}
        if name in _SHAPES or cells > 1 or (name == "img" and "src" in values):
            return True
        if name == "a" and "href" in values:
            links.add(unescape(values["href"]))
    if len(links) > _MOST_LINKS or any(_is_hidden(link, text) for link in links):
        return True
    return _words(unescape(_TAG.sub(_described, cleaned))) != _words(text)


def _is_hidden(link: str, text: str) -> bool:
    """Whether the text does not say where the link leads."""
    _, _, target = link.partition(":")
    return target.strip("/") not in text


def _described(tag: re.Match[str]) -> str:
    """In place of a tag: nothing; of an image that is not in the mail, its description."""
    found = _ATTRIBUTE.search(tag[3]) if tag[2] == "img" else None
    return found[2] if found is not None and found[1] == "alt" else ""


def _words(text: str) -> str:
    return _BETWEEN_WORDS.sub("", clean_text(text))
