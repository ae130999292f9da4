"""Whatever a sender calls a file: its name harms nobody and reaches the browser as it was cleaned."""

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.inbox.filenames import clean_filename, content_disposition

_names = st.text(max_size=300) | st.text(
    st.sampled_from("ab./\\:*?\"<>|%;'\u202e\u200f\r\n\0 ÄßЖ漢💡\u2028\ud800"), max_size=300
)


@pytest.mark.parametrize(
    ("sent", "clean"),
    [
        ("lampe.jpg", "lampe.jpg"),
        ("Größe  der\tLampe.pdf", "Größe derLampe.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\evil.exe", "evil.exe"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ('a"b:c.txt', "a_b_c.txt"),
        ("line\r\nSet-Cookie: x=1.txt", "lineSet-Cookie_ x=1.txt"),
        ("...", "attachment.bin"),
        ("", "attachment.bin"),
        ("folder/", "attachment.bin"),
        ("nul.txt", "_nul.txt"),
        ("COM1", "_COM1"),
        ("a" * 300 + ".jpeg", "a" * 195 + ".jpeg"),
    ],
)
def test_a_name_is_cleaned(sent, clean):
    assert clean_filename(sent) == clean


@given(_names)
def test_a_clean_name_is_one_visible_bounded_segment_and_stays_as_it_is(sent):
    clean = clean_filename(sent)

    assert clean
    assert clean not in {".", ".."}
    assert len(clean.encode()) <= 201
    assert not set(clean) & set('/\\:*?"<>|')
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in clean)
    assert not clean.endswith((".", " "))
    assert clean_filename(clean) == clean


@given(_names)
def test_the_header_is_one_line_of_ascii_and_says_the_clean_name(sent):
    value = content_disposition(sent)

    found = re.fullmatch(
        r'attachment; filename="([^"\\%;]*)"(?:; filename\*=UTF-8\'\'([!#$&+\-.^_`|~%0-9A-Za-z]+))?', value
    )
    assert found, value
    assert value.isascii()
    assert value.isprintable()
    said = found[1] if found[2] is None else unquote(found[2])
    assert said == clean_filename(sent)
