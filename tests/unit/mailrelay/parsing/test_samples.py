"""Every mail of the folder `mail-samples`, where there is one: MAIL_SAMPLES names it, else it lies beside the checkout."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from services.mailrelay.parsing.mail import ParsedMail, parse_mail
from tests.unit.mailrelay.parsing.comparing import first_disallowed_html

_BESIDE = Path(__file__).parents[5] / "shared" / "mail-samples"
SAMPLES = Path(os.environ.get("MAIL_SAMPLES") or _BESIDE)  # noqa: TID251 - where samples lie is no setting of the product
FIELDS = (
    "kind",
    "subject",
    "order_ids",
    "buyer_address",
    "thread_tag",
    "marketplace",
    "attachments",
    "amazon_domain",
    "text",
)

# (file, field): why a first parser cannot know it. The list may only shrink: an entry that holds after all fails.
NOT_YET: dict[tuple[str, str], str] = {}


def _samples() -> list[dict[str, Any]]:
    expected = SAMPLES / "expected.json"
    return json.loads(expected.read_text()) if expected.is_file() else []


def _understood(mail: ParsedMail) -> dict[str, Any]:
    return {
        "kind": mail.kind.value,
        "subject": mail.subject,
        "order_ids": list(mail.order_ids),
        "buyer_address": mail.buyer_address,
        "thread_tag": mail.thread_tag,
        "marketplace": mail.country,
        "attachments": [
            {"filename": a.filename, "content_type": a.content_type, "size": len(a.content)}
            for a in mail.attachments
        ],
        "amazon_domain": mail.amazon_domain,
        "text": mail.text,
    }


needs_samples = pytest.mark.skipif(
    not _samples(), reason=f"no samples in {SAMPLES}; MAIL_SAMPLES names another folder"
)


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_sample_is_understood(sample: dict[str, Any]):
    understood = _understood(parse_mail((SAMPLES / sample["file"]).read_bytes()))

    # Where nobody wrote words of his own, the whole text is shown, and the samples do not repeat it.
    names = [name for name in FIELDS if name != "text" or sample["text"] is not None]
    wrong = {name for name in names if understood[name] != sample[name]}
    expected_wrong = {name for file, name in NOT_YET if file == sample["file"]}
    assert {name: (understood[name], sample[name]) for name in wrong - expected_wrong} == {}
    assert expected_wrong <= wrong, "understood by now: take it off the list NOT_YET"


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_sample_shows_something_to_read(sample: dict[str, Any]):
    mail = parse_mail((SAMPLES / sample["file"]).read_bytes())

    assert mail.text or sample["kind"] == "unparseable"


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_html_of_a_sample_only_formats(sample: dict[str, Any]):
    assert first_disallowed_html(parse_mail((SAMPLES / sample["file"]).read_bytes()).html or "") is None


@needs_samples
def test_redelivered_sample_has_the_digest_of_the_first():
    first = parse_mail((SAMPLES / "buyer-question-de-html-text.eml").read_bytes())
    again = parse_mail((SAMPLES / "buyer-question-de-redelivered.eml").read_bytes())

    assert first.digest == again.digest


@needs_samples
def test_no_other_two_samples_share_a_digest():
    digests = [parse_mail((SAMPLES / sample["file"]).read_bytes()).digest for sample in _samples()]

    assert len(set(digests)) == len(digests) - 1
