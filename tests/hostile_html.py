"""HTML that strangers write to keep a machine busy: shapes of any size, each known to cost some tree builder, tokenizer or regular
expression more than its length. What must be linear is tried with each of them."""

import time
from collections.abc import Callable
from typing import Final

_INLINE: Final = ("b", "i", "u", "s", "em", "strong", "small", "code", "font", "a")


def _numbered(pattern: str, size: int) -> str:
    """`pattern` again and again, with another number in it each time."""
    count = size // len(pattern % 10_000)
    return "".join(pattern % number for number in range(count))


def _repeated(pattern: str) -> Callable[[int], str]:
    return lambda size: pattern * (size // len(pattern))


def _in_halves(opening: str, closing: str) -> Callable[[int], str]:
    def make(size: int) -> str:
        count = size // (len(opening) + len(closing))
        return opening * count + closing * count

    return make


SHAPES: Final[dict[str, Callable[[int], str]]] = {
    **{f"nested {name}": _repeated(f"<{name}>") for name in ("div", "span", "pre", "blockquote", "p", "ul", "ol", "dl", "nobr", "button")},
    **{f"nested and closed {name}": _in_halves(f"<{name}>", f"</{name}>") for name in ("div", "b", "table", "svg", "template", "object")},
    **{f"unclosed {name}": _repeated(f"<{name}>x") for name in ("li", "td", "tr", "h1", "option", "select", "form", "marquee", "ruby")},
    **{f"text up to an end tag, {name}": _repeated(f"<{name}>") for name in ("script", "style", "title", "textarea", "iframe", "noscript", "xmp", "plaintext")},
    "end tags that end nothing": lambda size: "<div>" * (size // 20) + "</b>" * (size // 6),
    "end tags of paragraphs": _repeated("</p>"),
    "words between": _repeated("<div>words "),
    "list in list": _repeated("<ul><li>"),
    "table in cell": _repeated("<table><tr><td>"),
    "table in table": _repeated("<table>"),
    "words out of place in tables": _repeated("<table>x<b>y"),
    "table in link": _repeated('<a href="https://x.example"><table>'),
    "paragraphs in formatting": lambda size: "".join(f"<{name}>" for name in _INLINE) * 3 + "<p>x" * (size // 4),
    "formatting never the same": lambda size: _numbered("<p><b x=%d>", size),
    "fonts never the same": lambda size: _numbered("<font size=%d>", size),
    "fonts never the same in paragraphs": lambda size: _numbered("<p><font size=%d>x", size),
    "links never the same in paragraphs": lambda size: _numbered("<p><a href=https://x.example/%d>x", size),
    "formatting closed out of order": _repeated("<b><p></b>"),
    "formatting closed far away": _in_halves("<b><div>", "</b>"),
    "formatting closed around cells": _repeated("<b><table><td></b></table>"),
    "fonts closed far away": lambda size: _numbered("<font x=%d>", size // 3) + "<div>" * (size // 20) + "</font>" * (size // 20),
    "attributes of one tag": lambda size: f"<p {_numbered('a%d ', size)}>words",
    "attributes of one link": lambda size: f"<a {_numbered('a%d=1 ', size)}href=https://x.example>words",
    "attributes of body, again and again": lambda size: _numbered("<body a%d=1>", size),
    "attributes of html, again and again": lambda size: _numbered("<html a%d=1>", size),
    "equals signs": lambda size: "<a " + "=" * size + ">words",
    "quotes in a tag": lambda size: "<a " + "\"'" * (size // 2) + ">words",
    "a quote that never ends": lambda size: "<a href=" + "\"x='" * (size // 4),
    "tags that never end": _repeated("<a "),
    "tags that never end, with quotes": _repeated('<a b="'),
    "tags with an equals sign": _repeated("<a =>"),
    "blanks in a tag": lambda size: "<a" + " " * size + ">words",
    "blanks around equals signs": lambda size: "<a " + "b \n = " * (size // 6) + ">words",
    "a long address": lambda size: f'<a href="https://x.example/{"x" * size}">words</a>',
    "angles": _repeated("<"),
    "angles and blanks": _repeated("< "),
    "slashes": _repeated("</"),
    "exclamation marks": _repeated("<!"),
    "question marks": _repeated("<?"),
    "comments that never end": _repeated("<!--"),
    "comments that nearly end": lambda size: "<!--" + "--!" * (size // 3),
    "empty comments": _repeated("<!-->"),
    "conditional comments": _repeated("<!--[if mso]>x<![endif]-->"),
    "CDATA that never ends": _repeated("<![CDATA["),
    "CDATA in pictures": lambda size: "<svg>" + "<![CDATA[" * (size // 9),
    "pictures in formulas": _repeated("<math><mi><svg>"),
    "drawn words": _repeated("<svg><text>x</svg>"),
    "ends of scripts that are none": lambda size: "<script>" + "</scrip" * (size // 7),
    "references": _repeated("&amp;"),
    "ampersands": _repeated("&"),
    "references that are none": _repeated("&notit"),
    "references that go on": lambda size: "&#" + "1" * size,
    "characters by number": _repeated("&#65"),
    "spaces that do not break": _repeated("\xa0"),
    "quotes": _repeated('"'),
    "one long line": _repeated("x"),
    "blanks": _repeated(" "),
    "lines": _repeated("\n"),
    "carriage returns": _repeated("\r"),
    "nulls": _repeated("\0"),
    "images": _repeated('<img src="cid:x">'),
    "line breaks": _repeated("<br>"),
    "names of tags that go on": lambda size: "<" + "x" * size,
    "ends of a pre that never end": _repeated("</pre "),
}  # fmt: skip


# Four times as much takes some four times as long if it is linear, sixteen if it is quadratic.
MOST_GROWTH: Final = 8
_SIZE: Final = 12_000
# What takes less is lost in the clock's own steps.
_NOTHING_SECONDS: Final = 0.001


def growth(work: Callable[[str], object], shape: Callable[[int], str]) -> float:
    """How many times as long `work` takes for four times as much, in time of this process's own; the best of some tries."""
    small, large = shape(_SIZE), shape(4 * _SIZE)
    tries: list[float] = []
    while len(tries) < 4 and min(tries, default=MOST_GROWTH) >= MOST_GROWTH:
        tries.append((_NOTHING_SECONDS + _seconds(work, large)) / (_NOTHING_SECONDS + _seconds(work, small)))
    return min(tries)


def _seconds(work: Callable[[str], object], html: str) -> float:
    started = time.process_time()
    work(html)
    return time.process_time() - started
