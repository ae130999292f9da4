"""What Amazon takes as files, by name, bytes and size together."""

import io
import zipfile

import pytest

from services.connector.replies.allowed_files import (
    ENDINGS,
    MOST_BYTES,
    MOST_FILES,
    Refusal,
    check_file,
    check_together,
)


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


BYTES = {
    "pdf": b"%PDF-1.7", "txt": "Größe".encode(), "csv": b"a;b\n", "rtf": b"{\\rtf1", "doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "docx": zipped("word/document.xml"), "odt": zipped("content.xml"), "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "xlsx": zipped("xl/workbook.xml"), "ods": zipped("content.xml"), "ppt": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "pptx": zipped("ppt/presentation.xml"), "jpg": b"\xff\xd8\xff", "jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a", "bmp": b"BM1234" + bytes(8), "tif": b"II*\x00", "tiff": b"MM\x00*", "heic": b"\x00\x00\x00\x18ftypheic",
    "webp": b"RIFF1234WEBP", "mp3": b"ID3", "m4a": b"\x00\x00\x00\x18ftypM4A ", "wav": b"RIFF1234WAVE",
    "mp4": b"\x00\x00\x00\x18ftypisom", "mov": b"\x00\x00\x00\x18ftypqt  ", "avi": b"RIFF1234AVI ",
}  # fmt: skip


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_a_true_file_of_each_kind_is_taken(ending: str):
    assert check_file(f"Datei.{ending.upper()}", BYTES[ending]).refusal is None


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_a_program_is_none_of_them_whatever_it_is_called(ending: str):
    assert check_file(f"Datei.{ending}", b"MZ\x90\x00").refusal is Refusal.CONTENT


def test_the_bounds_are_amazons():
    assert check_file("a.txt", b"a" * MOST_BYTES).refusal is None
    assert check_file("a.txt", b"a" * (MOST_BYTES + 1)).refusal is Refusal.TOO_LARGE
    assert check_together([MOST_BYTES]) is None
    assert check_together([MOST_BYTES, 1]) is Refusal.TOO_LARGE
    assert check_together([1] * MOST_FILES) is None
    assert check_together([1] * (MOST_FILES + 1)) is Refusal.TOO_MANY
