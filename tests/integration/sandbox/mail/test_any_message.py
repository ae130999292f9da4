"""Whatever a buyer may write, the mail is well-formed and says the same."""

import email
import email.policy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.mail.buyer_mail import (
    BuyerMessage,
    MessageWrong,
    check_message,
    compose,
    make_message_id,
)
from services.sandbox.mail.mail_templates import MAIL_TEMPLATES
from services.sandbox.state.sellers import seeded_sellers
from services.sandbox.state.threads import File
from shared.marketplaces import BY_COUNTRY

NOW = datetime(2026, 11, 2, 8, 15, 1, tzinfo=UTC)
ORDER = seeded_sellers()[0].orders[0]
MESSAGE_ID = make_message_id(BY_COUNTRY["DE"], NOW, UUID(int=7))


@given(
    text=st.text(max_size=300),
    subject=st.none() | st.text(max_size=80),
    filename=st.text(min_size=1, max_size=40),
    language=st.sampled_from(sorted(MAIL_TEMPLATES)),
)
def test_any_message_is_refused_or_becomes_a_clean_mail(
    text: str, subject: str | None, filename: str, language: str
) -> None:
    attachment = File(filename, "application/octet-stream", b"\x00\r\n.\n")
    message = BuyerMessage(ORDER, text, "product", subject, language, (attachment,))
    try:
        check_message(message)
    except MessageWrong:
        return

    raw = compose(message, to="aaabbbccc@replyco.email", message_id=MESSAGE_ID, now=NOW)

    assert raw.isascii()
    lone = raw.replace(b"\r\n", b"")
    assert b"\r" not in lone
    assert b"\n" not in lone
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail: Any = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail.defects == []
    assert mail["to"] == "aaabbbccc@replyco.email"
    assert mail["bcc"] is None
    expected = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert f"-------------\n\n{expected}\n\n-------------" in plain
    (part,) = mail.iter_attachments()
    assert part.get_content() == b"\x00\r\n.\n"


@pytest.mark.parametrize("subject", ["a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x85b", "a\ud800b", ""])
def test_subject_that_could_begin_another_header_is_refused(subject: str) -> None:
    with pytest.raises(MessageWrong):
        check_message(BuyerMessage(ORDER, "x", subject=subject))
