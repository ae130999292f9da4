"""How large a picture is, read from its first bytes: nothing is decoded here. Pure.

A few kilobytes may hold a picture of billions of pixels, for which a browser would take all of a machine's memory.
"""

from typing import Final

# Amazon lets buyers attach 10 MB.
MAX_PICTURE_BYTES: Final = 10 * 1024 * 1024
# What the largest cameras of phones make.
MAX_PICTURE_PIXELS: Final = 50_000_000
# Frames of JPEG (ITU-T T.81 table B.1), without what only looks like one: DHT, JPG, DAC.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# JPEG's markers that stand alone: TEM, RSTn.
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})


def is_small_picture(content: bytes, media_type: str) -> bool:
    """Whether these bytes are a picture of this type that any browser can show."""
    size = size_of(content, media_type)
    return size is not None and 0 < size[0] * size[1] <= MAX_PICTURE_PIXELS


def size_of(content: bytes, media_type: str) -> tuple[int, int] | None:
    """Width and height; None where they cannot be read."""
    try:
        match media_type:
            case "image/png":
                return _png(content)
            case "image/gif":
                return _gif(content)
            case "image/jpeg":
                return _jpeg(content)
            case "image/webp":
                return _webp(content)
            case _:
                return None
    except IndexError:
        return None


def _number(content: bytes, at: int, length: int, order: str = "little") -> int:
    if len(content) < at + length:
        raise IndexError
    return int.from_bytes(content[at : at + length], "big" if order == "big" else "little")


def _png(content: bytes) -> tuple[int, int] | None:
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        return None
    return _number(content, 16, 4, "big"), _number(content, 20, 4, "big")


def _gif(content: bytes) -> tuple[int, int] | None:
    """The screen, or the first frame where that is larger: browsers show all of it."""
    if content[:6] not in {b"GIF87a", b"GIF89a"}:
        return None
    width, height = _number(content, 6, 2), _number(content, 8, 2)
    flags = content[10]
    at = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    while content[at] == 0x21:
        at += 2
        while content[at]:
            at += content[at] + 1
        at += 1
    if content[at] != 0x2C:
        return None
    left, top, wide, high = (_number(content, at + 1 + 2 * each, 2) for each in range(4))
    return max(width, left + wide), max(height, top + high)


def _jpeg(content: bytes) -> tuple[int, int] | None:
    """Of the frame, not of the small picture that cameras put before it."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while True:
        if content[at] != 0xFF:
            return None
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        at += 1
        if marker in _JPEG_FRAMES:
            return _number(content, at + 5, 2, "big"), _number(content, at + 3, 2, "big")
        if marker not in _JPEG_ALONE:
            at += max(_number(content, at, 2, "big"), 2)


def _webp(content: bytes) -> tuple[int, int] | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    match content[12:16]:
        case b"VP8 ":
            return _number(content, 26, 2) & 0x3FFF, _number(content, 28, 2) & 0x3FFF
        case b"VP8L":
            bits = _number(content, 21, 4)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return _number(content, 24, 3) + 1, _number(content, 27, 3) + 1
        case _:
            return None
