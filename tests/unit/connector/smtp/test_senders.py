"""The sender address of a seller's own SMTP server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.smtp.senders import SenderInvalid, sender_address


@pytest.mark.parametrize(
    ("entered", "address"),
    [
        ("shop@example.com", "shop@example.com"),
        (" Shop.Info+amazon@Example.COM ", "Shop.Info+amazon@example.com"),
        ("info@müller.example", "info@xn--mller-kva.example"),
    ],
)
def test_a_plain_address_is_kept(entered: str, address: str):
    assert sender_address(entered) == address


@pytest.mark.parametrize(
    "entered",
    [
        *("", "@", "shop", "shop@", "@example.com", "shop@localhost", "shop@127.0.0.1", "shop@[127.0.0.1]"),
        *(
            "shop@example.com\r\nRCPT TO:<x@y.example>",
            "shop\r\n@example.com",
            "shop@exa\nmple.com",
            "a b@example.com",
        ),
        *(
            '"shop"@example.com',
            "<shop@example.com>",
            "Shop <shop@example.com>",
            "a..b@example.com",
            ".a@example.com",
        ),
        *(
            "mäx@example.com",
            "a@b@example.com",
            "x" * 65 + "@example.com",
            "a@" + ("b" * 60 + ".") * 5 + "example",
        ),
        "shop@example.com>\0",
    ],
)
def test_anything_else_is_refused(entered: str):
    """# S: CR/LF rejected in the sender"""
    with pytest.raises(SenderInvalid):
        sender_address(entered)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_becomes_an_address_that_ends_a_line(local_part: str, domain: str):
    try:
        address = sender_address(f"{local_part}@{domain}")
    except SenderInvalid:
        return
    assert address.isascii()
    assert address.isprintable()
    assert " " not in address
