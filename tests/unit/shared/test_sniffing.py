"""What a file is, whatever it is called."""

import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sniffing import sniff


def zipped(*names: str, content: str = "x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


OFFICE = "application/vnd.openxmlformats-officedocument."


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"GIF89a\x01", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00????", "application/octet-stream"),
        (b"\x00\x00\x00\x18ftypheic\x00", "image/heic"),
        (b"\x00\x00\x00\x18ftypheim\x00", "image/heic"),
        (b"\xff\xf3\x40\xc4", "audio/mpeg"),
        (b"\xff\xfe\x40\x00", "text/plain"),
        (b"\x00\x00\x00\x18ftypavif\x00", "image/avif"),
        (b"\x00\x00\x00\x18ftypisom\x00", "video/mp4"),
        (b"\x00\x00\x00\x18ftypqt  \x00", "video/quicktime"),
        (b"II*\x00\x08", "image/tiff"),
        (b"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36", "image/bmp"),
        (b"BMW ist eine Marke", "text/plain"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (b"7z\xbc\xaf\x27\x1c\x00", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\x01\x00", "application/vnd.rar"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "application/x-ole-storage"),
        (b"{\\rtf1", "application/rtf"),
        (b"MZ\x90\x00", "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF\x02", "application/x-elf"),
        (b"#!/bin/sh\n", "text/x-script"),
        (zipped("a.txt"), "application/zip"),
        (zipped("[Content_Types].xml", "word/document.xml"), f"{OFFICE}wordprocessingml.document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
        (zipped("[Content_Types].xml", "ppt/slides.xml"), f"{OFFICE}presentationml.presentation"),
        (zipped("mimetype", content=f"application/vnd.oasis.opendocument.{'text'}"), "application/vnd.oasis.opendocument.text"),
        (b"  \r\n<!DOCTYPE HTML><p>", "text/html"),
        (b"\xef\xbb\xbf<html lang=de>", "text/html"),
        (b"<!--x--><script>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
        (b'<?xml version="1.0"?><svg onload=x>', "image/svg+xml"),
        (b'<?xml version="1.0"?><a/>', "text/xml"),
        ("Größe".encode(), "text/plain"),
        ("Größe".encode("utf-16"), "text/plain"),
        ("注文".encode("iso-2022-jp"), "text/plain"),
        (b"<3 from Kim", "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)  # fmt: skip
def test_content_tells_its_type(content: bytes, media_type: str):
    assert sniff(content) == media_type


@given(content=st.binary(max_size=200))
def test_any_content_has_a_type(content: bytes):
    assert "/" in sniff(content)
