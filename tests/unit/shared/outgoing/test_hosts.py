"""Names and addresses of servers, as sellers enter them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.outgoing.addresses import networks
from shared.outgoing.hosts import HostInvalid, UrlInvalid, UrlPortNotAllowed, host_name, https_url


@pytest.mark.parametrize(
    ("entered", "name"),
    [
        ("smtp.example.com", "smtp.example.com"),
        (" SMTP.Example.COM. ", "smtp.example.com"),
        ("mail.müller.example", "mail.xn--mller-kva.example"),
        ("ｓｍｔｐ.example.com", "smtp.example.com"),  # noqa: RUF001
        ("smtp。example。com", "smtp.example.com"),
    ],
)
def test_a_name_is_kept_as_dns_has_it(entered: str, name: str):
    """# S: IDNA normalised"""
    assert host_name(entered) == name


@pytest.mark.parametrize(
    "entered",
    [
        *("127.0.0.1", "[::1]", "::1", "[::ffff:10.0.0.1]", "1.1.1.1", "2606:4700::1111", "fe80::1%eth0"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "127.0.0.0x1", "１２７.0.0.1", "a.0x"),  # noqa: RUF001
    ],
)
def test_a_literal_address_is_no_name(entered: str):
    """# S: no literal IPs: decimal, octal, hexadecimal, IPv6, full-width digits"""
    with pytest.raises(HostInvalid):
        host_name(entered)


@pytest.mark.parametrize(
    "entered",
    [
        *(
            "",
            ".",
            "localhost",
            "smtp",
            "a..b",
            "-a.example",
            "a-.example",
            "a_b.example",
            "a b.example",
            "a/b.example",
        ),
        *(
            "user@smtp.example.com",
            "smtp.example.com:25",
            "smtp.example.com\r\nRCPT",
            "a\0.example",
            "x" * 64 + ".example",
        ),
        *(("x" * 60 + ".") * 5 + "example", "\ud800.example"),
    ],
)
def test_what_is_no_full_name_is_refused(entered: str):
    with pytest.raises(HostInvalid):
        host_name(entered)


def test_an_operator_may_allow_literal_addresses():
    allowed = networks("127.0.0.0/8,::1/128")

    assert host_name("127.0.0.1", allowed) == "127.0.0.1"
    assert https_url("https://[::1]:8443/x", allowed) == "https://[::1]:8443/x"
    with pytest.raises(HostInvalid):
        host_name("10.0.0.1", allowed)


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("https://Hooks.Example.com", "https://hooks.example.com/"),
        ("https://hooks.example.com:443/a?b=c", "https://hooks.example.com/a?b=c"),
        ("HTTPS://müller.example:8443/a", "https://xn--mller-kva.example:8443/a"),
    ],
)
def test_a_url_is_kept_in_one_form(entered: str, url: str):
    assert https_url(entered) == url


@pytest.mark.parametrize(
    "entered",
    [
        *("http://hooks.example.com/", "ftp://hooks.example.com/", "hooks.example.com", "//hooks.example.com/", "https:///x", ""),
        *("https://user@hooks.example.com/", "https://u:p@hooks.example.com/", "https://hooks.example.com/#x", "https://@a.example/"),
        *("https://hooks.example.com:0/", "https://hooks.example.com:99999/", "https://hooks.example.com:x/", "https://[::1/"),
        *("https://a.example/\r\nX: y", "https://a.example/ö", "https://a.example\\@b.example/", "https://a.example/" + "x" * 2000),
    ],
)  # fmt: skip
def test_only_plain_https_is_a_url(entered: str):
    """# S: webhooks are https only"""
    with pytest.raises(UrlInvalid):
        https_url(entered)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "2130706433", "localhost", "0x7f.1"]
)
def test_a_url_needs_a_name_too(host: str):
    with pytest.raises(HostInvalid):
        https_url(f"https://{host}/")


@pytest.mark.parametrize("port", [1, 22, 25, 80, 444, 2375, 3306, 5432, 6379, 9200, 65535])
def test_a_webhook_speaks_to_no_port_but_those_of_https(port: int):
    with pytest.raises(UrlPortNotAllowed) as refused:
        https_url(f"https://hooks.example.com:{port}/")

    assert refused.value.fields == {"ports": "443, 8443"}
    assert (
        https_url(f"https://hooks.example.com:{port}/", ports={port}) == f"https://hooks.example.com:{port}/"
    )


@given(st.text(max_size=80))
def test_any_text_is_a_host_name_or_refused(text: str):
    try:
        name = host_name(text)
    except HostInvalid:
        return
    assert name.isascii()
    assert host_name(name) == name


@given(st.text(max_size=80))
def test_any_text_is_a_url_or_refused(text: str):
    try:
        url = https_url(f"https://{text}")
    except (UrlInvalid, HostInvalid, UrlPortNotAllowed):
        return
    assert url.isascii()
    assert https_url(url) == url
