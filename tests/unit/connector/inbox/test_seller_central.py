"""Where Amazon has a thread: by the tag that the buyer's address names, as Amazon's own links do."""

import pytest

from services.connector.inbox.seller_central import thread_link, thread_tag_of

TAG = "0e9b2a31-6f64-4c2e-9d0a-1b2c3d4e5f60"


@pytest.mark.parametrize(
    ("address", "tag"),
    [
        (f"k3x9example0abc+{TAG}@marketplace.amazon.de", TAG),
        ("k3x9example0abc+A1B2C3D4E5F6G7@marketplace.amazon.de", "A1B2C3D4E5F6G7"),
        ("k3x9example0abc@marketplace.amazon.de", None),
        ("k3x9example0abc+@marketplace.amazon.de", None),
        ("k3x9example0abc+a&mp=1#x@marketplace.amazon.de", None),
        ("a+tag12345@b@c", None),
        ("", None),
        (None, None),
    ],
)
def test_the_tag_is_read_and_nothing_else_gets_into_a_link(address: str | None, tag: str | None):
    assert thread_tag_of(address) == tag


def test_the_link_is_that_of_the_country():
    assert thread_link("JP", TAG, None) == (
        f"https://sellercentral.amazon.co.jp/messaging/inbox?fi=caseId&ss={TAG}&cc={TAG}"
    )
    assert thread_link("DE", None, None) == "https://sellercentral-europe.amazon.com/messaging/inbox"
    assert thread_link("DE", None, "http://localhost:8090") == (
        "http://localhost:8090/sellercentral-europe.amazon.com/messaging/inbox"
    )
