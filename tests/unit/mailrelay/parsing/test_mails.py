"""Each file in tests/mails is a mail; the .json beside it says what must be understood of it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.mailrelay.parsing.mail import parse_mail
from tests.unit.mailrelay.parsing.comparing import first_disallowed_html

MAILS = Path(__file__).parents[3] / "mails"
FILES = sorted(MAILS.glob("*.eml"))


def _comparable(raw: bytes) -> dict[str, Any]:
    mail = parse_mail(raw)
    sender = claimed_sender(raw)
    values = asdict(mail) | {"claim": sender.claim, "from_domain": sender.domain}
    values["order_ids"] = list(mail.order_ids)
    values["sent_at"] = mail.sent_at.isoformat() if mail.sent_at is not None else None
    values["attachments"] = [
        {"filename": a.filename, "content_type": a.content_type, "size": len(a.content)}
        for a in mail.attachments
    ]
    return values


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mail_is_understood_as_written_beside_it(path: Path):
    expected = json.loads(path.with_suffix(".json").read_text())

    understood = _comparable(path.read_bytes())

    assert {name: understood[name] for name in expected} == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_html_of_a_mail_only_formats(path: Path):
    html = parse_mail(path.read_bytes()).html

    assert first_disallowed_html(html or "") is None


def test_mails_have_the_line_ends_of_smtp():
    assert len(FILES) >= 12
    for path in FILES:
        assert b"\n" not in path.read_bytes().replace(b"\r\n", b""), path.name
