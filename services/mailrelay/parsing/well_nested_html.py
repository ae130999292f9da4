"""HTML as it comes → the same words in well-nested tags, in one pass over it.

A tree builder takes quadratic time for what a stranger may write: elements in elements, attributes on attributes, formatting that is
closed in another order than it was opened and is therefore opened again in every paragraph (50 KB became 60 MB). So none is given such
HTML. Here it is cut into tags and words, as the HTML Standard's tokenizer does (§13.2.5); a tag that is not allowed goes, its words
stay; and what comes out is balanced, no deeper than MAX_DEPTH and with no more than MAX_TAGS tags. Beyond these the words go on without
tags. Nothing here makes HTML safe.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

# Mail that people and programs write has some ten or twenty levels, tables in tables among them.
MAX_DEPTH: Final = 250
# Amazon's own have some hundred.
MAX_TAGS: Final = 10_000

_VOID: Final = frozenset({"br", "hr", "img"})
_CELLS: Final = frozenset({"td", "th"})
_SECTIONS: Final = frozenset({"thead", "tbody"})
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS: Final = _HEADINGS | {"p", "div", "blockquote", "pre", "ul", "ol", "li", "table", "hr"}
_ALLOWED: Final = (
    _VOID
    | _CELLS
    | _SECTIONS
    | _BLOCKS
    | {"b", "strong", "i", "em", "u", "s", "sub", "sup", "small", "span", "code", "tr", "a"}
)
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "a": frozenset({"href"}),
    "img": frozenset({"src", "alt"}),
}
# Their content is not meant to be read. Without an end tag the first ones go on to the end, the others are left out alone.
_DROPPED_AS_TEXT: Final = frozenset({"script", "style", "title", "textarea", "iframe", "noscript"})
_DROPPED_AS_ELEMENTS: Final = frozenset({"template", "object", "select", "svg", "math"})
# Up to their end tag nothing is a tag.
_SHOWN_AS_TEXT: Final = frozenset({"xmp", "noembed", "noframes", "plaintext"})
_READ_TO_THEIR_END: Final = _DROPPED_AS_TEXT | _DROPPED_AS_ELEMENTS | _SHOWN_AS_TEXT
_END_TAGS: Final = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _READ_TO_THEIR_END}

# Start tag → the open elements that it ends, and those that it does not look beyond (§13.2.6.4).
_ENDED_BY_START: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    **dict.fromkeys(_BLOCKS, (frozenset({"p"}), _CELLS | {"table"})),
    **dict.fromkeys(_CELLS, (_CELLS, frozenset({"table", "tr"}))),
    **dict.fromkeys(_SECTIONS, (_SECTIONS | {"tr"}, frozenset({"table"}))),
    "li": (frozenset({"li", "p"}), _CELLS | {"ul", "ol", "table"}),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
    "a": (frozenset({"a"}), _CELLS | {"table"}),
}
_OF_TABLES: Final = _CELLS | _SECTIONS | {"tr"}
# An end tag in a cell ends nothing outside of it, unless it is the table's or of a part of it.
_SCOPES: Final = _CELLS | {"table"}

# Possessive throughout, so that no attempt is made twice. A quote counts only behind an equals sign.
_TAG: Final = re.compile(
    r"""(?P<end>/?+)(?P<name>[a-z][^\s/>]*+)(?P<rest>(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+)>""",
    re.IGNORECASE,
)
_IS_TAG: Final = re.compile("/?[a-z]", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([^\s/>=][^\s/>=]*+)\s*+(?:=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]*+)))?+""")
_END_OF_COMMENT: Final = re.compile("--!?>")


@dataclass(frozen=True, slots=True)
class WellNested:
    """`was_cut`: some tags were left out because there were too many or they were too deep."""

    html: str
    was_cut: bool


def well_nested(html: str) -> WellNested:
    """The HTML with the allowed tags alone, each closed within the one that it was opened in."""
    writer = _Writer()
    _read(html, writer)
    writer.close_above(0)
    return WellNested("".join(writer.pieces), writer.was_cut)


def _read(html: str, writer: "_Writer") -> None:
    """Cut the HTML into tags and words. What is never closed, a comment for one, goes on to the end (§13.2.5)."""
    position = 0
    never_end: set[str] = set()
    while (at := html.find("<", position)) >= 0:
        writer.words(html[position:at])
        tag = _TAG.match(html, at + 1)
        if tag is None:
            position = _end_of_no_tag(html, at, writer)
            continue
        position = tag.end()
        name = tag["name"].lower()
        if tag["end"]:
            writer.end(name)
        elif name not in _READ_TO_THEIR_END:
            writer.start(name, tag["rest"])
        elif name not in never_end:
            end = _end_of_content(html, position, name)
            if end is None:
                never_end.add(name)  # looked for once: there may be thousands
                continue
            if name in _SHOWN_AS_TEXT:
                writer.words(escape(html[position:end]))
            position = end
    writer.words(html[position:])


def _end_of_no_tag(html: str, at: int, writer: "_Writer") -> int:
    """Where what begins with this angle ends: a comment, what counts as one, a tag that was cut off, or the angle itself."""
    if _IS_TAG.match(html, at + 1):
        return len(html)
    if html.startswith(("<!", "<?", "</"), at):
        return _end_of_comment(html, at)
    writer.words("&lt;")
    return at + 1


def _end_of_content(html: str, position: int, name: str) -> int | None:
    """Where the content of an element ends that is read as a whole; None if it has no end tag, and needs one."""
    end_tag = _END_TAGS[name].search(html, position) if name != "plaintext" else None
    if end_tag is not None:
        return end_tag.start()
    return None if name in _DROPPED_AS_ELEMENTS else len(html)


def _end_of_comment(html: str, at: int) -> int:
    if not html.startswith("<!--", at):
        return html.find(">", at) + 1 or len(html)
    for empty in ("<!-->", "<!--->"):
        if html.startswith(empty, at):
            return at + len(empty)
    end = _END_OF_COMMENT.search(html, at + 4)
    return len(html) if end is None else end.end()


class _Writer:
    """Writes tags so that they are balanced."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.was_cut = False
        self._tags_left = MAX_TAGS
        self._open: list[str] = []
        # Where in `_open` each name stands.
        self._places: defaultdict[str, list[int]] = defaultdict(list)

    def words(self, words: str) -> None:
        self.pieces.append(words)

    def start(self, name: str, attributes: str) -> None:
        if name not in _ALLOWED:
            return
        if name in _ENDED_BY_START:
            self._end_by_start(*_ENDED_BY_START[name])
        if self._tags_left == 0 or (len(self._open) == MAX_DEPTH and name not in _VOID):
            self.was_cut = True
            self.pieces.append(" ")  # so that words of two elements do not become one
            return
        self._tags_left -= 1
        self.pieces.append(f"<{name}{_kept(attributes, _ATTRIBUTES[name]) if name in _ATTRIBUTES else ''}>")
        if name not in _VOID:
            self._places[name].append(len(self._open))
            self._open.append(name)

    def end(self, name: str) -> None:
        if name == "br":  # as browsers do
            self.start(name, "")
        if name == "table":
            scope = -1
        else:
            scope = self._last("table") if name in _OF_TABLES else max(map(self._last, _SCOPES))
        at = self._last(name)
        if at > scope:
            self.close_above(at)

    def close_above(self, place: int) -> None:
        """Close the element at this place, and all within it."""
        while len(self._open) > place:
            name = self._open.pop()
            self._places[name].pop()
            self.pieces.append(f"</{name}>")

    def _end_by_start(self, ended: frozenset[str], scopes: frozenset[str]) -> None:
        scope = max(map(self._last, scopes))
        places = [place for place in map(self._last, ended) if place > scope]
        if places:
            self.close_above(min(places))

    def _last(self, name: str) -> int:
        places = self._places.get(name)
        return places[-1] if places else -1


def _kept(attributes: str, names: frozenset[str]) -> str:
    kept: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        name = match[1].lower()
        if name in names and name not in kept:
            kept[name] = match[2] or match[3] or match[4] or ""
    return "".join(f' {name}="{value.replace(chr(34), "&quot;")}"' for name, value in kept.items())
