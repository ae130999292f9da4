"""Every mail of the folder `mail-samples`, where there is one: MAIL_SAMPLES names it, else it lies beside the checkout."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.mail import MailKind, ParsedMail, parse_unguarded
from tests.unit.mailrelay.parsing.comparing import first_disallowed_html

_ROOT = Path(__file__).parents[2]
_BESIDE = _ROOT.parent / "shared" / "mail-samples"
SAMPLES = Path(os.environ.get("MAIL_SAMPLES") or _BESIDE)  # noqa: TID251 - where samples lie is no setting of the product
# All that expected.json says of a mail but its name and the note.
FIELDS = ("kind", "language", "order_ids", "asin", "buyer_address", "thread_tag", "marketplace", "subject", "text", "attachments", "failure_reason", "amazon_domain")  # fmt: skip
_TABLE_ROW = re.compile(r"^\| `(\w+)` \| (\d+) of (\d+) \|", re.MULTILINE)


def _samples() -> list[dict[str, Any]]:
    expected = SAMPLES / "expected.json"
    return json.loads(expected.read_text()) if expected.is_file() else []


def _read(sample: dict[str, Any]) -> ParsedMail:
    return parse_unguarded((SAMPLES / sample["file"]).read_bytes())


def _parsed(mail: ParsedMail) -> dict[str, Any]:
    return {
        "kind": mail.kind.value,
        "language": mail.language,
        "order_ids": list(mail.order_ids),
        "asin": mail.asin,
        "buyer_address": mail.buyer_address,
        "thread_tag": mail.thread_tag,
        "marketplace": mail.country,
        "subject": mail.subject,
        # The samples give a buyer's own words; of any other mail all that there is to read is shown.
        "text": mail.text if mail.is_excerpt else None,
        "attachments": [
            {"filename": a.filename, "content_type": a.content_type, "size": len(a.content)}
            for a in mail.attachments
        ],
        "failure_reason": mail.failure_reason,
        "amazon_domain": mail.amazon_domain,
    }


needs_samples = pytest.mark.skipif(
    not _samples(), reason=f"no samples in {SAMPLES}; MAIL_SAMPLES names another folder"
)


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_sample_is_parsed_field_by_field(sample: dict[str, Any]):
    assert sample.keys() == {"file", *FIELDS, "note"}

    assert _parsed(_read(sample)) == {name: sample[name] for name in FIELDS}


@needs_samples
def test_table_in_the_documentation_has_the_figures_of_each_field():
    samples = [(sample, _parsed(_read(sample))) for sample in _samples()]

    figures = {
        name: (sum(found[name] == sample[name] for sample, found in samples), len(samples)) for name in FIELDS
    }

    rows = _TABLE_ROW.findall((_ROOT / "docs" / "mail.md").read_text())
    assert {name: (int(equal), int(count)) for name, equal, count in rows} == figures


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_sample_shows_something_to_read(sample: dict[str, Any]):
    assert _read(sample).text or sample["kind"] == "unparseable"


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_html_of_a_sample_only_formats(sample: dict[str, Any]):
    assert first_disallowed_html(_read(sample).html or "") is None


@needs_samples
@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: sample["file"])
def test_sample_claims_to_be_amazons_as_its_name_says(sample: dict[str, Any]):
    file = sample["file"]
    by_name = {
        "lookalike-suffix-domain.eml": "lookalike_domain",
        "lookalike-punycode-domain.eml": "lookalike_domain",
        "lookalike-display-name.eml": "display_name",
        "broken-two-from-headers.eml": "two_senders",
    }

    claim = claimed_sender((SAMPLES / file).read_bytes()).claim
    assert claim == by_name.get(file, "from_domain" if sample["amazon_domain"] else None)


@needs_samples
def test_code_of_the_verification_sample_is_found():
    codes = {mail.verification_code for mail in map(_read, _samples()) if mail.kind is MailKind.VERIFICATION}

    assert codes == {"482913"}


@needs_samples
def test_redelivered_sample_has_the_digest_of_the_first():
    first = claimed_sender((SAMPLES / "buyer-question-de-html-text.eml").read_bytes())
    again = claimed_sender((SAMPLES / "buyer-question-de-redelivered.eml").read_bytes())

    assert first.digest == again.digest


@needs_samples
def test_no_other_two_samples_share_a_digest():
    digests = [claimed_sender((SAMPLES / sample["file"]).read_bytes()).digest for sample in _samples()]

    assert len(set(digests)) == len(digests) - 1
