"""The size of a picture is read, not decoded; what is too large or unclear is not shown."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.connector.inbox.content_types import IMAGES
from services.connector.inbox.pictures import MAX_PICTURE_PIXELS, is_small_picture, size_of


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    rows = b"".join(b"\0" + b"\x1f\x5f\x8b" * width for _ in range(height)) if width * height < 10**6 else b""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _jpeg(width: int, height: int) -> bytes:
    thumbnail = b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10"
    app = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    table = b"\xff\xc4\0\x04ab"
    return b"\xff\xd8" + app + table + b"\xff\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03"


def _gif(width: int, height: int, *, screen: tuple[int, int] = (1, 1)) -> bytes:
    extension = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    frame = b"\x2c\0\0\0\0" + struct.pack("<HH", width, height) + b"\0"
    return b"GIF89a" + struct.pack("<HH", *screen) + b"\x80\0\0" + bytes(6) + extension + frame


def _webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + bytes(4) + body


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (png(640, 480), "image/png"),
        (_jpeg(640, 480), "image/jpeg"),
        (_gif(640, 480), "image/gif"),
        (_gif(1, 1, screen=(640, 480)), "image/gif"),
        (_webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 640, 480)), "image/webp"),
        (_webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)), "image/webp"),
        (_webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")), "image/webp"),
    ],
    ids=["png", "jpeg", "gif", "gif by its screen", "webp", "webp without loss", "webp with more"],
)
def test_width_and_height_are_read_and_what_is_cut_off_has_none(content, media_type):
    assert size_of(content, media_type) == (640, 480)
    assert is_small_picture(content, media_type)
    for other in sorted(IMAGES - {media_type}):
        assert size_of(content, other) is None
    for length in range(10):
        assert size_of(content[:length], media_type) is None


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (png(50_000, 50_000), "image/png"),
        (png(MAX_PICTURE_PIXELS + 1, 1), "image/png"),
        (png(0, 5), "image/png"),
        (_jpeg(65_000, 65_000), "image/jpeg"),
        (_gif(65_000, 65_000), "image/gif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"", "image/png"),
    ],
    ids=[
        "a bomb",
        "one pixel too many",
        "nothing",
        "a large jpeg",
        "a frame larger than its screen",
        "svg",
        "empty",
    ],
)
def test_what_is_too_large_or_no_picture_is_none(content, media_type):
    assert not is_small_picture(content, media_type)


@given(
    st.sampled_from(sorted(IMAGES)),
    st.sampled_from([b"", b"\xff\xd8", b"GIF89a", b"RIFF\0\0\0\0WEBP"]),
    st.binary(),
)
def test_any_bytes_have_a_size_or_none(media_type, begin, rest):
    assert isinstance(is_small_picture(begin + rest, media_type), bool)
