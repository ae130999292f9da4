"""A link leads where it is said to lead, whatever a mail has made of it."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.inbox.links import link_of


@pytest.mark.parametrize(
    ("href", "url", "target"),
    [
        ("https://a.example/x?y=1&z=2#t", "https://a.example/x?y=1&z=2#t", "a.example"),
        ("HTTPS://A.Example", "https://a.example/", "a.example"),
        ("http://a.example:8080/", "http://a.example:8080/", "a.example:8080"),
        ("https://amazon.de@evil.example/", "https://evil.example/", "evil.example"),
        ("https://amazon.de:443@evil.example/", "https://evil.example/", "evil.example"),
        # A Cyrillic letter, full-width digits, an ideographic stop: shown as what the DNS is asked for.
        ("https://\u0430mazon.de/", "https://xn--mazon-3ve.de/", "xn--mazon-3ve.de"),
        ("https://xn--mazon-3ve.de/", "https://xn--mazon-3ve.de/", "xn--mazon-3ve.de"),
        ("https://\uff11.2.3.4/", "https://1.2.3.4/", "1.2.3.4"),
        ("https://a.example/ü?q=ä b".replace(" ", ""), "https://a.example/%C3%BC?q=%C3%A4b", "a.example"),
        ("https://a.example/%2Fx", "https://a.example/%2Fx", "a.example"),
        ("mailto:a@b.example?subject=x&bcc=c@d.example", "mailto:a@b.example", "a@b.example"),
    ],
)
def test_a_link_shows_where_it_leads(href, url, target):
    link = link_of(href)

    assert link is not None
    assert (link.url, link.target) == (url, target)


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example\\@amazon.de/",
        "https:\\\\evil.example",
        "https:evil.example",
        "https:///evil.example",
        "https://evil.example%23.amazon.de/",
        "https://a..b/",
        "https://[::1]/",
        "https://[v1.x",
        "https://a.example:99999/",
        "https://a.example/ x",
        "https://a.ex\tample/",
        "//a.example",
        "/x",
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a.example",
        "cid:x",
        "mailto:a@b.example,c@d.example",
        "mailto:",
        "https://" + "a" * 2_000,
    ],
)
def test_what_is_not_plain_is_no_link(href):
    assert link_of(href) is None


@given(
    st.text(max_size=60)
    | st.text("htps:/\\@.?#%[]a\u0430\u3002 ü1", max_size=40).map(lambda rest: f"https://{rest}")
)
def test_whatever_is_sent_what_is_followed_is_what_is_shown(href):
    link = link_of(href)

    if link is not None and link.url.startswith("http"):
        assert link.url.isascii()
        assert urlsplit(link.url).netloc == link.target
        assert not set(link.url) & set(' "<>\\`')
