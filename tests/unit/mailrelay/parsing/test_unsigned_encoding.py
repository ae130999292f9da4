"""How a body is encoded that does not say so under a signature: only what certainly fits is decoded."""

import base64
import quopri

import pytest

from services.mailrelay.parsing.structure import Header, read_head
from services.mailrelay.parsing.unsigned_encoding import MAX_BYTES, transfer_encoding_of

PLAIN = "Content-Type: text/plain; charset=utf-8"
UMLAUTS = "Guten Tag, wann kommt meine schöne große Lampe? Sie fehlt mir über dem Tisch, und der Flur ist düster. Grüße"


def encoding_of(body: bytes, content_type: str = PLAIN) -> str | None:
    header = Header(read_head(content_type.encode() + b"\r\n\r\n").fields)
    return transfer_encoding_of(header, body)


def test_what_mail_programs_encode_is_recognised():
    assert encoding_of(quopri.encodestring(UMLAUTS.encode())) == "quoted-printable"
    assert encoding_of(base64.encodebytes(UMLAUTS.encode())) == "base64"
    assert encoding_of(base64.encodebytes(UMLAUTS.encode()).replace(b"\n", b"\r\n")) == "base64"
    assert encoding_of(base64.b64encode("Grüße aus Köln".encode())) == "base64"
    assert encoding_of(base64.b64encode(b"%PDF-1.7\x00\xff"), "Content-Type: application/pdf") == "base64"


def test_a_text_in_another_character_set_is_recognised():
    western = "Content-Type: text/plain; charset=windows-1252"

    assert encoding_of(quopri.encodestring("Grüße".encode("cp1252")), western) == "quoted-printable"
    assert encoding_of(base64.encodebytes((UMLAUTS * 3).encode("cp1252")), PLAIN) == "base64"


def test_one_bad_byte_does_not_make_it_another_encoding():
    encoded = quopri.encodestring(UMLAUTS.encode()).replace(b"=C3=B6", b"=C3", 1)

    assert encoding_of(encoded) == "quoted-printable"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Nein",
        b"Danke",
        b"Hallo!",
        b"Nein\r\n",
        b"Wo ist es?",
        b"1 + 1 = 2",
        b"https://sellercentral.amazon.de/inbox?fi=caseId&ss=11111111&t=AAA",
        b"https://sellercentral.amazon.de/x?t=AAA",
        b"a=B, c=d",
        UMLAUTS.encode(),
        UMLAUTS.encode() + b"=C3=BC",
        b"first=20line\r\nsecond = line",
    ],
)
def test_a_text_that_stands_for_itself_is_left_alone(text: bytes):
    assert encoding_of(text) is None


@pytest.mark.parametrize("content_type", ['multipart/alternative; boundary="b"', "message/rfc822"])
def test_what_holds_parts_is_never_encoded(content_type: str):
    assert encoding_of(base64.encodebytes(UMLAUTS.encode()), f"Content-Type: {content_type}") is None


def test_of_a_large_body_the_beginning_tells_it():
    large = quopri.encodestring(UMLAUTS.encode() * 2000)
    assert len(large) > MAX_BYTES

    assert encoding_of(large) == "quoted-printable"
    assert encoding_of(base64.encodebytes(UMLAUTS.encode() * 2000)) == "base64"
    assert encoding_of(b"x = y\r\n" + large) is None
