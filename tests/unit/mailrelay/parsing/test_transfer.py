"""Parts that are in the transfer encoding that they name, in another, or in none; and files in uuencode."""

import base64
import binascii

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.mailrelay.parsing.body import MAX_ATTACHMENTS
from services.mailrelay.parsing.mail import ParsedMail, parse_unguarded
from services.mailrelay.parsing.transfer import decode_base64, decode_quoted_printable, decode_transfer
from services.mailrelay.parsing.uuencoded import split_uuencoded

TEXTS = ["Das ist gar kein Base64, sondern Text.", "Bitte melden Sie sich", "Grüße aus Köln", "注文した商品がまだ届きません。", "https://shop.example/a?b=c&d=e"]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_is_called_base64_and_is_none_is_shown(text: str):
    assert decode_transfer(text.encode() + b"\r\n", "base64", is_text=True) == text.encode() + b"\r\n"


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_text_in_base64_is_decoded(text: str, codec: str):
    content = text.encode(codec)

    assert decode_transfer(base64.encodebytes(content), "base64", is_text=True) == content
    assert decode_transfer(base64.b64encode(content) + b" \r\n", "base64", is_text=True) == content


@pytest.mark.parametrize("garbage", [b"!", b" ", b"\x00", b"\xff", b"-- \r\n"])
@pytest.mark.parametrize("text", TEXTS)
def test_base64_with_something_else_in_it_is_decoded(text: str, garbage: bytes):
    encoded = base64.b64encode(text.encode())

    assert decode_transfer(encoded[:4] + garbage + encoded[4:], "base64", is_text=True) == text.encode()


@pytest.mark.parametrize("content", [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"PK\x03\x04\x14\x00\x00\x00"])  # fmt: skip
def test_file_that_is_called_base64_and_is_none_is_kept(content: bytes):
    assert decode_transfer(content, "base64", is_text=False) == content
    assert decode_transfer(base64.encodebytes(content), "base64", is_text=False) == content


def test_old_text_that_is_called_base64_and_is_none_is_shown():
    content = "Die Größe, schön".encode("cp1252")

    assert decode_transfer(content, "base64", is_text=True) == content


def test_text_that_is_called_quoted_printable_and_is_none_is_shown():
    content = b"https://shop.example/?page=12&x=1F und 100% = alles, =1B$B"

    assert decode_transfer(content, "quoted-printable", is_text=True) == content.replace(b"=1B", b"\x1b")
    assert decode_transfer(b"a=00=12", "quoted-printable", is_text=True) == b"a\x00\x12"


def test_several_blocks_of_base64_are_read_on():
    assert decode_base64(b"SGVsbG8=\r\nLCB3b3JsZA==\r\n") == b"Hello, world"


def test_text_in_an_encoding_that_no_header_names_is_decoded():
    text = "Guten Tag, wo ist meine Lampe? Schöne Grüße, Kim Muster aus Köln".encode()

    assert decode_transfer(base64.encodebytes(text), "7bit", is_text=True) == text
    assert decode_transfer(binascii.b2a_qp(text), "", is_text=True) == text


@pytest.mark.parametrize(
    "text",
    [
        b"A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5F6A1B2",
        b"Wort" * 20,
        b"https://shop.example/?a=AB&b=C3",
        b"1 + 1 =3D, or =C3=BC=20and a=b",
        b"x=C3",
        b"",
    ],
)
def test_text_that_only_looks_encoded_stays(text: bytes):
    assert decode_transfer(text, "7bit", is_text=True) == text


@pytest.mark.parametrize(
    ("content", "decoded"),
    [
        (b"gr=c3=bc=C3=9Fe", "grüße".encode()),
        (b"a= \t\r\nb", b"ab"),
        (b"a=\nb=\rc=\r\nd", b"abcd"),
        (b"a=ZZ=3", b"a=ZZ=3"),
        (b"x = y", b"x = y"),
        (b"a=3D=\r\n", b"a="),
        (b"end=", b"end"),
    ],
)
def test_quoted_printable_as_it_comes(content: bytes, decoded: bytes):
    assert decode_quoted_printable(content) == decoded


def uuencode(name: str, content: bytes) -> bytes:
    lines = [binascii.b2a_uu(content[at : at + 45]).rstrip(b"\n") for at in range(0, len(content), 45)]
    return b"\r\n".join([b"begin 644 " + name.encode(), *lines, b"`", b"end", b""])


FILE = bytes(range(256)) * 3


def mail_with(text: bytes, *headers: bytes) -> ParsedMail:
    return parse_unguarded(b"Subject: x\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + text)


def test_files_in_a_text_become_attachments():
    mail = mail_with(b"Hello,\r\n" + uuencode("a b.bin", FILE) + uuencode("cat.txt", b"Cat") + b"\r\nBye\r\n")

    assert mail.text == "Hello,\n\nBye"
    assert [(a.filename, a.content) for a in mail.attachments] == [("a b.bin", FILE), ("cat.txt", b"Cat")]


@pytest.mark.parametrize("encoding", [b"x-uuencode", b"X-UUE", b"uuencode"])
def test_part_in_uuencode_is_a_file(encoding: bytes):
    cte = b"Content-Transfer-Encoding: " + encoding
    unnamed = mail_with(uuencode("a.zip", b"PK\x03\x04"), b"Content-Type: application/zip", cte)
    named = mail_with(
        uuencode("a.zip", b"PK\x03\x04"), b"Content-Type: application/zip; name=b.zip", b"Content-Disposition: attachment", cte
    )  # fmt: skip

    assert [(a.filename, a.content_type, a.content) for m in (unnamed, named) for a in m.attachments] == [
        ("a.zip", "application/zip", b"PK\x03\x04"),
        ("b.zip", "application/zip", b"PK\x03\x04"),
    ]


def test_file_that_was_cut_off_is_kept_as_far_as_it_goes():
    encoded = uuencode("a.bin", FILE)

    (attachment,) = mail_with(b"Hello\r\n" + encoded[:400]).attachments

    assert len(attachment.content) >= 45 * 5
    assert FILE.startswith(attachment.content)


def test_file_in_base64_of_uuencode():
    mail = mail_with(b"Hello\r\nbegin-base64 644 a.bin\r\n" + base64.encodebytes(FILE) + b"====\r\nBye\r\n")

    assert (mail.text, [a.content for a in mail.attachments]) == ("Hello\nBye", [FILE])


@pytest.mark.parametrize(
    "text",
    [
        "begin 644 a.txt",
        "begin 644 tomorrow\nwith the delivery, please.\nend",
        "I begin 644 a.txt\n#0V%T\n`\nend",
        "begin 644 a.txt\nHello\n\nend",
        "begin 644 a.txt\n\nend",
        "begin 644 a.txt\nPlease note that the parcel, which was sent on Monday, is not\nhere",
        "begin 644 a.txt\nMY LAMP IS BROKEN\nend",
        "begin-base64 644 a.txt\nHello",
        "begin with me\nand\nend",
    ],
)
def test_words_that_begin_with_begin_are_not_touched(text: str):
    mail = mail_with(text.encode())

    assert (mail.text, mail.attachments) == (text, ())


def test_more_files_than_are_shown_are_told():
    mail = mail_with(uuencode("a", b"x") * (MAX_ATTACHMENTS + 1))

    assert (len(mail.attachments), mail.truncated) == (MAX_ATTACHMENTS, True)


def test_yenc_is_shown_as_it_is():
    assert (
        "=ybegin line=128 size=3 name=a.txt"
        in mail_with(b"=ybegin line=128 size=3 name=a.txt\r\nmno\r\n=yend size=3").text
    )


@given(text=st.lists(st.sampled_from([b"begin 644 a\n", b"#0V%T\n", b"M" + b"A" * 60 + b"\n", b"`\n", b"end\n", b"x", b"\r\n"])).map(b"".join))  # fmt: skip
@example(text=b"begin 644 a\n" * 3 + b"#0V%T\n")
def test_what_is_taken_out_of_a_text_was_in_it(text: bytes):
    rest, files = split_uuencoded(text)

    assert len(rest) + sum(len(file.content) for file in files) <= len(text)
    assert files or rest == text


@given(content=st.binary(max_size=300), encoding=st.sampled_from(["base64", "quoted-printable", "", "7bit", "x"]), is_text=st.booleans())  # fmt: skip
def test_any_content_is_decoded_and_never_grows(content: bytes, encoding: str, is_text: bool):
    assert len(decode_transfer(content, encoding, is_text=is_text)) <= len(content)
