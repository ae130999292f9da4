"""Names under which a stranger's files are shown and saved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailrelay.parsing.filenames import safe_filename


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("skada\u202egpj.exe", "skadagpj.exe"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\a\\b.txt", "C__a_b.txt"),
        ("Größe L (Köln).pdf", "Größe L (Köln).pdf"),
        ("a\r\nb\x00.pdf", "ab.pdf"),
        ("...", "document.pdf"),
        (None, "document.pdf"),
    ],
)
def test_name_is_made_safe(name: str | None, safe: str):
    assert safe_filename(name, "application/pdf") == safe


@given(name=st.text(max_size=40))
def test_no_name_is_empty_or_a_path(name: str):
    safe = safe_filename(name, "x/y")

    assert safe
    assert not set(safe) & set("/\\\x00\n\u202e")
    assert safe not in {".", ".."}
