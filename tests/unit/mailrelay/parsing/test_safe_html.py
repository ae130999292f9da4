"""What stays of links and images when HTML is cleaned: where they lead, and nothing that loads or runs."""

import pytest

from services.mailrelay.parsing.safe_html import make_safe


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (
            '<a href="https://a.example/x?y=1&amp;z=2" onclick="x()">w</a>',
            '<a href="https://a.example/x?y=1&amp;z=2">w</a>',
        ),
        ('<a href="mailto:a@b.example" target="_top">w</a>', '<a href="mailto:a@b.example">w</a>'),
        ('<a href="javascript:alert(1)">w</a>', "<a>w</a>"),
        ('<a href="java&#10;script:alert(1)">w</a>', "<a>w</a>"),
        ('<a href="data:text/html,x">w</a>', "<a>w</a>"),
        ('<a href="/x">w</a><a href="//evil.example">v</a>', "<a>w</a><a>v</a>"),
        ('<a href="cid:x">w</a>', "<a>w</a>"),
        (f'<a href="https://a.example/{"x" * 2_000}">w</a>', "<a>w</a>"),
        ('<img src="cid:lamp@x" alt="a lamp" onerror="x()">', '<img src="cid:lamp@x" alt="a lamp">'),
        ('<img src="https://t.example/pixel?id=1" alt="a lamp">', '<img alt="a lamp">'),
        ('<img src="data:image/png;base64,AAAA" srcset="https://t.example/1.png 2x">', "<img>"),
        ('<img src="cid:x" style="position:fixed" width="9999">', '<img src="cid:x">'),
        ('<img alt="<pre>&quot;>">', '<img alt="&lt;pre&gt;&quot;&gt;">'),
    ],
)
def test_a_link_keeps_where_it_leads_and_an_image_what_it_is(sent, kept):
    assert make_safe(sent).html == kept


def test_neither_shows_in_the_text():
    assert make_safe('<p>See <a href="https://a.example">here</a><img alt="lamp">.</p>').text == "See here."


def test_what_stands_in_an_attribute_is_not_taken_for_a_tag():
    safe = make_safe('<a href="https://a.example/<pre>">x</a><pre>words</pre>')

    assert safe.only_pre is not None
    assert safe.only_pre.text == "words"
