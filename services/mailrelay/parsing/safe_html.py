"""HTML of a stranger → HTML that formats and does nothing else, and its text.

Kept is what gives words a shape, where a link leads, and which of the mail's own files is an image. Nothing that runs, loads, covers
or submits survives; of a remote image its description does. What is kept of links and images does nothing by itself: the connector
writes both anew when it shows them.
"""

from dataclasses import dataclass
from html.parser import HTMLParser

import nh3
from typing_extensions import override

from services.mailrelay.parsing.decoding import clean_text
from services.mailrelay.parsing.well_nested_html import well_nested

# Amazon's own are below 20 KB.
MAX_HTML_CHARS = 200_000

_TAGS = frozenset(
    {"b", "strong", "i", "em", "u", "s", "sub", "sup", "small", "br", "hr", "p", "div", "span", "blockquote", "pre", "code"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "img"}
)  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt"}}
_SCHEMES = {"http", "https", "mailto", "cid"}
_MAX_URL_CHARS = 2_000
_MAX_ALT_CHARS = 300
# Deeper quotes look like these.
_MAX_QUOTE_MARKS = 3
# Their content is not meant to be read; of any other tag that goes, the words stay.
_DROPPED_WITH_CONTENT = frozenset(
    {
        "script",
        "style",
        "title",
        "template",
        "iframe",
        "object",
        "noscript",
        "select",
        "textarea",
        "svg",
        "math",
    }
)
_NEW_LINE = frozenset(
    {
        "br",
        "hr",
        "p",
        "div",
        "blockquote",
        "pre",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
    }
)


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """Cleaned HTML; `only_pre` is the content of the one `<pre>` if there is exactly one."""

    html: str
    only_pre: "SafeHtml | None"
    was_cut: bool

    @property
    def text(self) -> str:
        """The text of the HTML, read on demand: most mails have them as plain text too, and this takes longest of all."""
        return _text_of(self.html)[:MAX_HTML_CHARS]


def make_safe(html: str) -> SafeHtml:
    """Clean HTML from anywhere, in time by its length; what is beyond the limits is cut off, or left as words."""
    nested = well_nested(html[:MAX_HTML_CHARS])
    cleaned = nh3.clean(
        nested.html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_inert,
        url_schemes=_SCHEMES,
        clean_content_tags=set(_DROPPED_WITH_CONTENT),
        link_rel=None,
    ).replace("\x00", "")
    return SafeHtml(cleaned, _only_pre(cleaned), was_cut=nested.was_cut or len(html) > MAX_HTML_CHARS)


def _inert(_tag: str, attribute: str, value: str) -> str | None:
    """What may stay of an attribute: a link to the web or a mailbox, an image of the mail's own (RFC 2392), a description."""
    match attribute:
        case "href" if value.lower().startswith(("http://", "https://", "mailto:")):
            return value if len(value) <= _MAX_URL_CHARS else None
        case "src" if value.lower().startswith("cid:"):
            return value if len(value) <= _MAX_URL_CHARS else None
        case "alt":
            return value[:_MAX_ALT_CHARS]
        case _:
            return None


def _only_pre(cleaned: str) -> SafeHtml | None:
    # In cleaned HTML these are tags for certain: text and attributes are escaped.
    if cleaned.count("<pre>") != 1:
        return None
    inner = cleaned.partition("<pre>")[2].partition("</pre>")[0]
    return SafeHtml(f"<pre>{inner}</pre>", None, was_cut=False)


def _text_of(cleaned: str) -> str:
    reader = _TextReader()
    reader.feed(cleaned)
    reader.close()
    return clean_text("".join(reader.pieces))


class _TextReader(HTMLParser):
    """Collects the words of cleaned, hence well-formed HTML; blanks count inside `<pre>` only. What is quoted has `>` before it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._pre_depth = 0
        self._quote_depth = 0

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._pre_depth += 1
        if tag == "blockquote":
            self._quote_depth += 1
        self._separate(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._pre_depth -= 1
        if tag == "blockquote":
            self._quote_depth -= 1
        if tag != "br":
            self._separate(tag)

    @override
    def handle_data(self, data: str) -> None:
        if self._pre_depth > 0:
            self._begin_line()
            self.pieces.append(data.replace("\n", f"\n{self._quote_marks}"))
            return
        words = " ".join(data.split())
        if words:
            self._begin_line()
        starts_blank = data[:1].isspace() and bool(self.pieces) and not self.pieces[-1].endswith(("\n", " "))
        if words:
            self.pieces.append(f"{' ' if starts_blank else ''}{words}{' ' if data[-1:].isspace() else ''}")
        elif starts_blank:
            self.pieces.append(" ")

    @property
    def _quote_marks(self) -> str:
        return "> " * min(self._quote_depth, _MAX_QUOTE_MARKS)

    def _begin_line(self) -> None:
        if self._quote_depth > 0 and (not self.pieces or self.pieces[-1].endswith("\n")):
            self.pieces.append(self._quote_marks)

    def _separate(self, tag: str) -> None:
        if tag == "br" or (tag in _NEW_LINE and self.pieces and not self.pieces[-1].endswith("\n")):
            self.pieces.append("\n")
        elif tag in {"td", "th"} and self.pieces and not self.pieces[-1].endswith(("\n", " ")):
            self.pieces.append(" ")
