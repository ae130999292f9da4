"""Every reason is explained: on the pages in both languages, and to operators."""

from pathlib import Path

import pytest

from services.connector.web.texts import page_texts
from services.mailrelay.authenticity.faults import Fault

ROOT = Path(__file__).parents[4]
PROVEN = {"signed_by_amazon", "sent_by_amazon", "forwarded_from_amazon"}
NOT_PROVEN = {"not_signed", "signer_not_amazon", "two_senders", "display_name", "lookalike_domain", *Fault}
UNCHECKED = {"dns_unavailable", "check_failed"}
MISDIRECTED = {"not_addressed_here", "replayed"}
ALL = PROVEN | NOT_PROVEN | UNCHECKED | MISDIRECTED


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_pages_have_a_text_for_each(language: str):
    assert {f"authenticity.reason.{reason}" for reason in ALL} <= page_texts(language).keys()


def test_the_document_says_of_each_what_to_do():
    page = (ROOT / "docs" / "mail.md").read_text("utf-8").partition("## Is it really from Amazon?")[2]

    for reason in sorted(ALL):
        assert f"`{reason}`" in page, reason
