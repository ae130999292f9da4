"""HTML that is written to keep the parser busy: it takes time by its length alone, and none of its words is lost."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from services.connector.inbox.html_document import is_small_enough
from services.mailrelay.parsing.mail import parse_unguarded
from services.mailrelay.parsing.safe_html import MAX_HTML_CHARS, make_safe
from services.mailrelay.parsing.well_nested_html import MAX_DEPTH, MAX_TAGS, well_nested
from tests.hostile_html import MOST_GROWTH, SHAPES, growth
from tests.unit.mailrelay.parsing.comparing import first_disallowed_html

_HEAD = b"From: Robin <k3j4h5g6f7d8s9a@marketplace.amazon.de>\r\nSubject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
# A letter that is written as five, a reference, and a tag with its end tag.
_MOST_CHARS = 6 * MAX_HTML_CHARS + 25 * MAX_TAGS

_NAMES = ["b", "i", "a href=https://x.example", "p", "div", "span", "ul", "li", "table", "tr", "td", "th", "tbody", "pre", "h1",
          "blockquote", "font size=1", "center", "svg", "br", "form"]  # fmt: skip
_WORDS = st.sampled_from(["lamp", "chair", "Größe", "1 &lt; 2", "&amp;"])
_NESTING = st.lists(
    st.sampled_from([f"<{name}>" for name in _NAMES])
    | st.sampled_from([f"</{name.split()[0]}>" for name in _NAMES if name != "svg"])
    | _WORDS,
    max_size=80,
).map(" ".join)


class _Depth(HTMLParser):
    """How deep well-nested HTML goes; it fails where it is not well nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.deepest = 0

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"br", "hr", "img"}:
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _depth(html: str) -> int:
    reader = _Depth()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader.deepest


def _parse(html: str) -> None:
    parse_unguarded(_HEAD + html.encode())


@pytest.mark.parametrize("name", SHAPES)
def test_a_mail_takes_time_by_its_length_alone(name: str):
    assert growth(_parse, SHAPES[name]) < MOST_GROWTH


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_kept_of_html_is_not_much_longer_than_it_was_and_short_enough_for_the_pages(name: str):
    safe = make_safe(SHAPES[name](MAX_HTML_CHARS))

    assert len(safe.html) <= _MOST_CHARS
    assert is_small_enough(safe.html)
    assert first_disallowed_html(safe.html) is None


@given(html=_NESTING)
def test_any_nesting_is_balanced_and_keeps_all_words(html: str):
    nested = well_nested(html)

    assert _depth(nested.html) <= MAX_DEPTH
    words = re.sub(r"<[^>]*>", " ", html).replace("&lt;", "<").replace("&amp;", "&").split()
    shown = [word for word in make_safe(html).text.split() if word.strip(">")]
    # A tree builder moves words that stand between the cells of a table before it.
    assert sorted(shown) == sorted(words)


@given(html=st.text("<>/=\"'!-?[]& \nabdipsvgx", max_size=200))
def test_any_characters_are_balanced(html: str):
    assert _depth(well_nested(html).html) <= MAX_DEPTH


def test_what_is_too_deep_is_shown_as_words():
    """Half a mail of 49 KB of nothing but nested elements, with a question at the bottom of it."""
    mail = parse_unguarded(
        _HEAD + b"<div>" * 9_990 + b"Where is my lamp?" + b"</div>" * 9_990 + b"<p>Robin</p>"
    )

    assert mail.text == "Where is my lamp?\nRobin"
    assert mail.truncated
    assert _depth(mail.html or "") <= MAX_DEPTH


def test_beyond_the_last_tag_the_words_go_on():
    mail = parse_unguarded(_HEAD + b"<i>so </i>" * (MAX_TAGS + 5) + b"<b>end</b>")

    assert mail.text.split() == ["so"] * (MAX_TAGS + 5) + ["end"]
    assert mail.truncated
    assert not (mail.html or "").endswith("</b>")


@pytest.mark.parametrize(
    ("sent", "nested"),
    [
        pytest.param("<p>one<p>two<p>three", "<p>one</p><p>two</p><p>three</p>", id="paragraphs without an end"),
        pytest.param("<ul><li>one<li>two</ul>x", "<ul><li>one</li><li>two</li></ul>x", id="points without an end"),
        pytest.param(
            "<table><tr><td>a<td>b<tr><td>c</table>",
            "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>",
            id="cells without an end",
        ),
        pytest.param(
            "<div><table><tr><td>a</div></p></td><td>b</td></tr></table></div>",
            "<div><table><tr><td>a</td><td>b</td></tr></table></div>",
            id="an end tag in a cell ends nothing around the table",
        ),
        pytest.param(
            "<table><thead><tr><th>a<tbody><tr><td>b</table>",
            "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
            id="head and body of a table without an end",
        ),
        pytest.param("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b>c", id="closed in another order"),
        pytest.param("<a href=x>one<a href=y>two</a>", '<a href="x">one</a><a href="y">two</a>', id="link in link"),
        pytest.param("<A HREF='x\"y' href=z Title=t>w</A>", '<a href="x&quot;y">w</a>', id="attributes"),
        pytest.param('<p title="a>b" class=c>w</p>', "<p>w</p>", id="an angle in an attribute"),
        pytest.param("<font><center><b>w</b></center></font>", "<b>w</b>", id="tags that are not allowed"),
        pytest.param("a < b <3 c</ d>e", "a &lt; b &lt;3 ce", id="angles"),
        pytest.param("a<!-- <b> -->b<!-->c<!--->d<!doctype x>e<?x?>f<![endif]>g", "abcdefg", id="comments"),
        pytest.param("a<script>'<b>'</script >b<style>c</style>d", "abd", id="what is not meant to be read"),
        pytest.param("a<svg><path/></svg>b<svg>c", "abc", id="drawings; the last has no end"),
        pytest.param("<xmp><b>&amp;</b></xmp>", "&lt;b&gt;&amp;amp;&lt;/b&gt;", id="text that looks like tags"),
        pytest.param("a</br>b<br/>c<hr>", "a<br>b<br>c<hr>", id="line breaks"),
        pytest.param("words<b", "words", id="cut inside of a tag"),
    ],
)  # fmt: skip
def test_sloppy_html_is_read_as_browsers_do(sent: str, nested: str):
    assert well_nested(sent).html == nested
