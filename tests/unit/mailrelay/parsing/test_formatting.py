"""A formatted view is offered where a mail's HTML shows more than its text: not for the same words in other lines."""

import time
from email.message import EmailMessage

import pytest

from services.mailrelay.parsing.formatting import has_formatting
from services.mailrelay.parsing.mail import parse_mail
from services.mailrelay.parsing.safe_html import MAX_HTML_CHARS, make_safe

_TEXT = "Guten Tag,\n\nwo bleibt die Lampe < 5 & das Kabel?\nhttps://example.com/a?b=1&c=2\n> Wir schreiben morgen.\n"
_WRAPPED = (
    "<html><head><style>p{color:red}</style></head><body><div><p style='color:red'>Guten&nbsp;Tag,</p>"
    "<p>wo bleibt die\n Lampe &lt; 5 &amp; das Kabel?<br>"
    "<a href='https://example.com/a?b=1&amp;c=2'>https://example.com/a?b=1&amp;c=2</a></p><hr>"
    "<blockquote><span>Wir schreiben mor\u00adgen.</span></blockquote></div></body></html>"
)


@pytest.mark.parametrize(
    "html",
    [
        _WRAPPED,
        f"<pre>{'x' * 10}</pre>".replace("x" * 10, _TEXT.replace("&", "&amp;").replace("<", "&lt;")),
        _WRAPPED.replace("<p>wo", "<img src='https://tracker.example/1.gif' alt=''><p>wo"),
        _WRAPPED.replace("<div>", "<table><tr><td><div>").replace("</div>", "</div></td></tr></table>"),
        _WRAPPED.replace("<div>", "<font face='Arial'><center>").replace("</div>", "</center></font>"),
        _WRAPPED.replace("<body>", "<body><script>alert(1)</script><!-- <b>unseen</b> -->"),
    ],
    ids=["paragraphs", "as it stands", "a pixel from elsewhere", "a table as frame", "a font", "a script"],
)
def test_the_same_words_in_other_lines_are_no_formatting(html):
    assert has_formatting(make_safe(html).html, _TEXT) is False


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("wo bleibt", "wo <b>bleibt</b>"),
        ("wo bleibt", "<h2>wo</h2> bleibt"),
        ("wo bleibt", "<ul><li>wo</li></ul> bleibt"),
        ("wo bleibt", "<table><tr><td>wo</td><td>bleibt</td></tr></table>"),
        ("wo bleibt", "<img src='cid:lampe'>wo bleibt"),
        ("wo bleibt", "<img src='https://shop.example/1.png' alt='Lampe'>wo bleibt"),
        ("wo bleibt", "<a href='https://elsewhere.example/'>wo</a> bleibt"),
        (">https://example.com/a?b=1&amp;c=2<", ">here<"),
        ("wo bleibt", "wo bleibt denn nun"),
        ("wo bleibt", "wo"),
    ],
    ids=[
        "bold",
        "a heading",
        "a list",
        "a table",
        "an image",
        "an image from elsewhere",
        "a link that leads elsewhere",
        "a link with another name",
        "more words",
        "fewer words",
    ],
)
def test_whatever_the_text_does_not_show_is(before, after):
    changed = _WRAPPED.replace(before, after, 1)
    assert changed != _WRAPPED
    assert has_formatting(make_safe(changed).html, _TEXT) is True


def test_without_html_there_is_none():
    assert has_formatting(None, _TEXT) is False


def _alternatives(html: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = "buyer@example.com"
    mail.set_content(_TEXT)
    mail.add_alternative(html, subtype="html")
    return mail.as_bytes()


def test_a_mail_says_whether_it_has_any():
    plain, bold = (
        parse_mail(_alternatives(html)) for html in (_WRAPPED, _WRAPPED.replace("wo", "<b>wo</b>"))
    )

    assert (plain.html is not None, plain.has_formatting) == (True, False)
    assert (bold.html is not None, bold.has_formatting) == (True, True)


@pytest.mark.parametrize(
    "unit",
    ["<a href='https://x.example/{n}'>x</a>", "<span>", "&lt;a href=", "<img alt='>{n}'>", "a > b "],
)
def test_it_takes_time_by_the_length(unit):
    """Twice as long takes twice as long, not four times."""

    def seconds(size: int) -> float:
        html = "".join(unit.replace("{n}", str(n)) for n in range(size // len(unit)))
        cleaned = make_safe(html).html
        text = "x" * size
        runs = []
        for _ in range(5):
            started = time.thread_time()
            has_formatting(cleaned, text)
            runs.append(time.thread_time() - started)
        return min(runs)

    assert seconds(MAX_HTML_CHARS) < 10 * seconds(MAX_HTML_CHARS // 4)
