"""The form in which mails are signed, held against dkimpy's for bytes of all kinds."""

import hashlib
import time

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from services.mailrelay.authenticity.canonical import SignedMail, canonical_field, without_signature
from services.mailrelay.parsing.structure import Field

_PIECES = st.sampled_from(
    [b"\r\n", b" ", b"\t", b"a", b"b", b"\r\n\r\n", b"  ", b" \r\n", b"\r", b"\n", b"\0"]
)


@given(st.lists(_PIECES, max_size=30).map(b"".join))
def test_bodies_have_the_form_of_the_rfc(body: bytes):
    mail = SignedMail([], memoryview(body))

    whole = body if body.endswith(b"\r\n") or not body else body + b"\r\n"
    assert mail.body_hash("relaxed")[0] == hashlib.sha256(Relaxed.canonicalize_body(whole)).digest()
    assert mail.body_hash("simple")[0] == hashlib.sha256(Simple.canonicalize_body(whole or b"\r\n")).digest()


@pytest.mark.parametrize(
    ("body", "relaxed", "simple"),
    [
        (b"", b"", b"\r\n"),
        (b"\r\n\r\n", b"", b"\r\n"),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n", b" C \r\nD \t E\r\n"),
        (b"no end", b"no end\r\n", b"no end\r\n"),
        (b"a\r\n\r\r\n", b"a\r\n\r\r\n", b"a\r\n\r\r\n"),
    ],
)
def test_the_examples_of_the_rfc_and_its_edges(body: bytes, relaxed: bytes, simple: bytes):
    mail = SignedMail([], memoryview(body))

    assert mail.body_hash("relaxed") == (hashlib.sha256(relaxed).digest(), len(relaxed))
    assert mail.body_hash("simple") == (hashlib.sha256(simple).digest(), len(simple))


@pytest.mark.parametrize(
    ("raw", "relaxed"),
    [
        (b"A: X\r", b"a:X\r\n"),
        (b"B : Y\t\r\n\tZ  \r", b"b:Y Z\r\n"),
        (b"Subject:  folded\r\n   and  folded\r", b"subject:folded and folded\r\n"),
    ],
)
def test_header_fields_have_the_form_of_the_rfc(raw: bytes, relaxed: bytes):
    field = Field("x", b"", raw)

    assert canonical_field(field, "relaxed") == relaxed
    assert canonical_field(field, "simple") == raw + b"\n"


@pytest.mark.parametrize(
    ("raw", "unsigned"),
    [
        (b"DKIM-Signature: v=1; b=abc\r\n def; bh=x", b"DKIM-Signature: v=1; b=; bh=x"),
        (b"DKIM-Signature: bh=x; b = abc", b"DKIM-Signature: bh=x; b ="),
        (b"DKIM-Signature: bb=x;\r\n b=\r\n abc;", b"DKIM-Signature: bb=x;\r\n b=;"),
        (b"DKIM-Signature: b=a; s=b=c", b"DKIM-Signature: b=; s=b=c"),
    ],
)
def test_a_signature_does_not_sign_its_own_value(raw: bytes, unsigned: bytes):
    assert without_signature(Field("dkim-signature", b"", raw)).raw == unsigned


@pytest.mark.parametrize(
    "body",
    [
        b"a  b \t \r\n" * 2_000_000,
        b" " * 20_000_000,
        b"\r\n" * 10_000_000,
        b"\r" * 20_000_000,
        b" \t" * 10_000_000,
    ],
    ids=["words", "blanks", "empty lines", "returns", "tabs"],
)
def test_no_form_of_a_large_body_takes_long(body: bytes):
    began = time.process_time()
    mail = SignedMail([], memoryview(body))
    mail.body_hash("relaxed")
    mail.body_hash("simple")

    # 0.3 s; what is slower than linear takes minutes.
    assert time.process_time() - began < 10
