"""Signatures of replies, held against another understanding of the RFCs (dkimpy) and against our own checks."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.mailrelay.authenticity.canonical import SignedMail
from services.mailrelay.authenticity.dkim import check_signature, read_signatures
from services.mailrelay.authenticity.resolver import Kind
from services.mailrelay.outbound.composing import compose
from services.mailrelay.outbound.reply import Reply, ReplyFile
from services.mailrelay.outbound.signing import sign, signed_mail
from shared.crypto.dkim_keys import DkimKeyFile
from tests.unit.mailrelay.outbound.reading_back import DOMAIN, a_reply, replies

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DkimKeyFile:
    return DkimKeyFile.create(tmp_path_factory.mktemp("dkim") / "dkim-keys.json", NOW)


def signed(keys: DkimKeyFile, reply: Reply, *, eight_bit: bool = False) -> bytes:
    mail = compose(reply, mail_domain=DOMAIN, eight_bit=eight_bit)
    return sign(mail, domain=DOMAIN, keys=keys, at=reply.sent_at)


def dkimpy_verifies(mail: bytes, keys: DkimKeyFile) -> bool:
    records = {f"{key.record_name(DOMAIN)}.": key.record for key in keys.keys}

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        record = records.get(name.decode())
        return None if record is None else record.encode()

    return bool(dkim.verify(mail, dnsfunc=look_up))


class Published:
    """A resolver that knows the records of these keys."""

    def __init__(self, keys: DkimKeyFile) -> None:
        self._records = {key.record_name(DOMAIN): key.record for key in keys.keys}

    async def ask(self, name: str, kind: Kind, *, proves: bool = True) -> tuple[str, ...]:
        assert kind == "TXT"
        return (self._records[name],) if name in self._records else ()


@given(reply=replies(), eight_bit=st.booleans())
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_every_reply_is_verified_by_dkimpy(keys: DkimKeyFile, reply: Reply, eight_bit: bool):
    # A signature from the future is none for dkimpy.
    mail = signed(keys, replace(reply, sent_at=NOW), eight_bit=eight_bit)

    assert dkimpy_verifies(mail, keys)
    assert max(map(len, mail.split(b"\r\n"))) <= 998


async def test_our_own_checks_find_no_fault(keys: DkimKeyFile):
    mail = signed(keys, a_reply(text="Grüße", files=(ReplyFile("a.pdf", b"%PDF-"),)))

    [signature] = read_signatures(SignedMail.read(mail), NOW)
    checked = await check_signature(signature, Published(keys))

    assert checked.passed, checked
    assert signature.domain == DOMAIN


MAIL_PLACES = {
    "a letter of the text": (b"unterwegs", b"unterweg5"),
    "the sender": (b"From: mabtekrud@", b"From: mabtekrut@"),
    "the recipient": (b"To: k3j4h5", b"To: k3j4h6"),
    "the subject": (b"Subject: Re: Frage", b"Subject: Re: Frbge"),
    "the date": (b"12:00:05", b"12:00:06"),
    "that a person wrote it": (b"Auto-Submitted: no", b"Auto-Submitted: auto-replied"),
    "the encoding": (b"Content-Transfer-Encoding: 7bit", b"Content-Transfer-Encoding: base64"),
    "the charset": (b"charset=utf-8", b"charset=utf-7"),
    "the message id": (b".1@replyco", b".2@replyco"),
    "the thread": (b"In-Reply-To: <q@", b"In-Reply-To: <r@"),
    "the threads before": (b"References: <p@", b"References: <o@"),
    "a second From": (b"\r\nFrom:", b"\r\nFrom: evil@evil.example\r\nFrom:"),
    "a second Subject": (b"\r\nSubject:", b"\r\nSubject: other\r\nSubject:"),
    "a Reply-To": (b"\r\nSubject:", b"\r\nReply-To: evil@evil.example\r\nSubject:"),
    "a Cc": (b"\r\nSubject:", b"\r\nCc: evil@evil.example\r\nSubject:"),
    "a line at the end": (b"unterwegs.\r\n", b"unterwegs.\r\nmore\r\n"),
    "the domain": (b"d=replyco.email", b"d=replyco.e-mail"),
}


@pytest.mark.parametrize("place", MAIL_PLACES)
def test_what_was_changed_is_not_verified(keys: DkimKeyFile, place: str):
    mail = signed(keys, a_reply(in_reply_to="<q@a.example>", references=("<p@a.example>",)))
    before, after = MAIL_PLACES[place]

    assert mail.count(before) == 1
    assert dkimpy_verifies(mail, keys)
    assert not dkimpy_verifies(mail.replace(before, after), keys)


def test_blanks_and_folding_may_change_on_the_way(keys: DkimKeyFile):
    mail = signed(keys, a_reply(text="two  words"))

    refolded = mail.replace(b"Subject: Re: Frage", b"subject:  Re:\r\n\tFrage").replace(
        b"two  words\r\n", b"two words \r\n\r\n"
    )

    assert dkimpy_verifies(refolded, keys)


def test_the_signature_names_each_field_once_more_than_it_is_there_and_nothing_that_weakens_it(
    keys: DkimKeyFile,
):
    mail = signed(keys, a_reply())
    tags = dict(
        re.findall(r"(?:^|;)\s*([a-z]+)=([^;]*)", mail.decode().partition("\r\nDate:")[0].partition(":")[2])
    )
    names = [name.strip() for name in tags["h"].split(":")]

    assert tags["a"] == "rsa-sha256"
    assert tags["c"] == "relaxed/relaxed"
    assert not {"l", "x", "i"} & set(tags)
    for name in (
        "From",
        "Subject",
        "Date",
        "To",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ):
        assert names.count(name) == 2, name
    for name in ("Reply-To", "Cc", "Sender", "In-Reply-To", "References"):
        assert names.count(name) == 1, name


def test_a_reply_sent_again_has_the_same_signature(keys: DkimKeyFile):
    assert signed(keys, a_reply()) == signed(keys, a_reply())


async def test_the_stores_own_server_signs_for_its_own_domain(keys: DkimKeyFile):
    reply = a_reply(from_address="service@shop.example")

    mail = await signed_mail(reply, mail_domain=DOMAIN, keys=keys, eight_bit=False)

    assert mail == compose(reply, mail_domain=DOMAIN, eight_bit=False)


async def test_without_a_key_the_mail_goes_unsigned(keys: DkimKeyFile):
    unsigned = await signed_mail(a_reply(), mail_domain=DOMAIN, keys=None, eight_bit=False)
    with_key = await signed_mail(a_reply(), mail_domain=DOMAIN, keys=keys, eight_bit=False)

    assert b"DKIM-Signature" not in unsigned
    assert dkimpy_verifies(with_key, keys)
    assert with_key.endswith(unsigned)


def test_during_a_change_both_signatures_are_verified_and_the_new_key_signs_without_a_restart(tmp_path: Path):
    path = tmp_path / "dkim-keys.json"
    in_worker, in_command = DkimKeyFile.create(path, NOW), DkimKeyFile.load(path)
    before = signed(in_worker, a_reply())

    new = in_command.add(NOW, use=False)
    waiting = signed(in_worker, a_reply())
    in_command.use(new.selector)
    after = signed(in_worker, a_reply())

    assert waiting == before
    assert f"s={new.selector};".encode() in after
    assert dkimpy_verifies(before, in_worker)
    assert dkimpy_verifies(after, in_worker)
