"""A mail's HTML as a document: shape and words, visible targets, its own images, and nothing that runs or loads."""

import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.http.language import Language
from services.connector.inbox.html_document import (
    MAX_IMAGE_BYTES,
    MAX_TAGS,
    Image,
    document,
    document_of_text,
    is_small_enough,
    named_images,
    policy,
)
from services.mailrelay.parsing.safe_html import make_safe
from tests.hostile_html import MOST_GROWTH, SHAPES, growth

_PNG = Image("image/png", b"\x89PNG")
_DATA = f"data:image/png;base64,{b64encode(_PNG.content).decode()}"
_ALLOWED = re.compile(
    r"</?(?:b|strong|i|em|u|s|sub|sup|small|br|hr|p|div|span|blockquote|pre|code|h[1-6]|ul|ol|li|table|thead|tbody|tr|th|td)>"
    r'|<a href="(?:https?://|mailto:)[^"<>]*" target="_blank" rel="noopener noreferrer nofollow">|</a>'
    r'|<bdi class="target" dir="ltr">|</bdi>|<span class="left-out">'
    r'|<img src="data:image/png;base64,[A-Za-z0-9+/=]*" alt="[^"<>]*">'
)
_SNIPPETS = st.sampled_from(
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<img src="cid:lamp" onload=alert(1)>',
        "<svg onload=alert(1)>",
        "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
        '<a href="javascript:alert(1)">',
        '<a href="https://a.example" onmouseover="alert(1)">x</a>',
        '<form action="https://evil.example"><input name=q></form>',
        '<meta http-equiv="refresh" content="0;url=https://evil.example">',
        '<base href="https://evil.example">',
        '<link rel="stylesheet" href="https://evil.example/x.css">',
        '<iframe srcdoc="<script>alert(1)</script>">',
        "<style>@import 'https://evil.example';</style>",
        '<p style="background:url(https://evil.example)">',
        '<table background="https://evil.example/x.png"><tr><td>',
        "</body></html><script>alert(1)</script>",
        "<!--><script>alert(1)</script>-->",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "&lt;script&gt;",
        "<p>",
        "\u202e",
    ]
)


def _body(html: str, *, is_quarantined: bool = False, language: Language = Language.EN) -> str:
    whole = document(html, {"lamp": _PNG}, language, is_quarantined=is_quarantined)
    found = re.fullmatch(r'<!doctype html>.*<body dir="auto">(.*)</body></html>', whole, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>Größe <b>M</b><br>&lt;3</p>", "<p>Größe <b>M</b><br>&lt;3</p>"),
        ('<img src="cid:lamp" alt="Lampe">', f'<img src="{_DATA}" alt="Lampe">'),
        ('<img src="CID:l%61mp">', f'<img src="{_DATA}" alt="">'),
        ('<img src="cid:other" alt="Lampe">', 'Lampe <span class="left-out">[image not loaded]</span>'),
        ('<img alt="Lampe">', 'Lampe <span class="left-out">[image not loaded]</span>'),
        ('<img src="https://t.example/1.png">', ' <span class="left-out">[image not loaded]</span>'),
        ('<img alt="">', ""),
        ("a\u202eb\u2066c", "abc"),
    ],
)
def test_shape_words_and_own_images_stay(html, shown):
    assert _body(html) == shown


def test_behind_a_link_stands_where_it_leads():
    assert _body('<a href="https://xn--mazon-3ve.de/login">amazon.de</a>!') == (
        '<a href="https://xn--mazon-3ve.de/login" target="_blank" rel="noopener noreferrer nofollow">amazon.de</a>'
        ' <bdi class="target" dir="ltr">[xn--mazon-3ve.de]</bdi>!'
    )


def test_what_is_no_plain_link_is_words():
    assert _body('<a href="https://evil.example\\@amazon.de/">here</a>') == "here"


def test_in_quarantine_a_link_is_named_and_not_clickable():
    assert _body('<a href="https://evil.example/x">amazon.de</a>', is_quarantined=True) == (
        'amazon.de <bdi class="target" dir="ltr">[evil.example]</bdi>'
    )


def test_a_german_reader_is_told_in_german():
    assert "[Bild nicht geladen]" in _body("<img>", language=Language.DE)


def test_an_image_that_is_shown_again_and_again_ends_at_the_bound():
    large = Image("image/png", bytes(MAX_IMAGE_BYTES // 3))

    whole = document('<img src="cid:lamp" alt="x">' * 10, {"lamp": large}, Language.EN, is_quarantined=False)

    assert (whole.count("data:image/png"), whole.count("not loaded")) == (3, 7)


@pytest.mark.parametrize("name", SHAPES)
def test_a_document_takes_time_by_the_length_of_the_mail(name):
    def write(html):
        named_images(html)
        document(html, {}, Language.EN, is_quarantined=False)

    def shape(size):
        return make_safe(SHAPES[name](size)).html

    assert growth(write, shape) < MOST_GROWTH


def test_html_of_more_than_the_mail_worker_keeps_is_not_written():
    """What it keeps is, of each shape: tests/unit/mailrelay/parsing/test_hostile_html.py."""
    assert is_small_enough("<b></b>" * (MAX_TAGS // 2))
    assert not is_small_enough("<b></b>" * MAX_TAGS)
    assert document_of_text("1 < 2\n") == "<pre>1 &lt; 2\n</pre>"


def test_images_are_known_before_they_are_opened():
    assert named_images('<img src="cid:a%40b"><img src="https://x.example/1.png"><a href="cid:c">x</a>') == {
        "a@b"
    }


@given(st.lists(_SNIPPETS | st.text("<>/=\"'&;ab -!", max_size=10), max_size=8).map("".join))
def test_whatever_is_sent_only_what_is_named_comes_out(html):
    body = _body(html)

    assert re.sub(r"[<>]", "", _ALLOWED.sub("", body)) == _ALLOWED.sub("", body)


@pytest.mark.parametrize("is_in_our_page", [False, True])
def test_the_policy_lets_nothing_run_load_or_leave(is_in_our_page):
    whole = policy(is_quarantined=False, is_in_our_page=is_in_our_page)
    rules = dict(rule.strip().partition(" ")[::2] for rule in whole.split(";"))
    # Our page sees how tall it is; with scripts, which it never has, it could see our page.
    seen = {"allow-same-origin"} if is_in_our_page else set()

    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["frame-ancestors"] == "'self'"
    assert set(rules["sandbox"].split()) == {"allow-popups", "allow-popups-to-escape-sandbox"} | seen
    assert "unsafe" not in whole
    quarantined = policy(is_quarantined=True, is_in_our_page=is_in_our_page)
    assert set(quarantined.partition(";")[0].split()) == {"sandbox"} | seen


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_is_readable_in_light_and_dark(scheme):
    """Contrast of WCAG 2.2 §1.4.3: of words, links, and what stands behind them."""
    style = (
        document("", {}, Language.EN, is_quarantined=False).partition("<style>")[2].partition("</style>")[0]
    )
    light, _, dark = style.partition("@media screen and (prefers-color-scheme:dark){")
    rules = {"light": light, "dark": dark}[scheme]
    [ground] = re.findall(r"body\{[^}]*background:(#\w{6})", rules)
    words = re.findall(r"(?<!-)color:(#\w{6})", rules.partition("img{background")[0])

    assert len(words) == 3
    for colour in words:
        high, low = sorted((_luminance(colour), _luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, colour
