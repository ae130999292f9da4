"""What a file is, by its first bytes.

A table of our own and no library: what matters are some twenty types, and whether a file is what it says it is.
`filetype` has had no release since 2022; `puremagic` reads the end of a file as well, and answers with guesses, more or less
sure. The signatures are those of the WHATWG's "MIME Sniffing" and of the formats' own specifications.
"""

import re

UNKNOWN = "application/octet-stream"
# Where every signature of the table stands, and enough of a text to tell it from bytes.
_HEAD_BYTES = 4_096

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-elf"),
    (b"#!", "text/x-script"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    # ISO/IEC 11172-3 and 13818-3, layer III, with and without a checksum.
    *((b"\xff" + bytes([second]), "audio/mpeg") for second in (0xFB, 0xFA, 0xF3, 0xF2)),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
# RIFF and the ISO base media format (ISO/IEC 14496-12 §4.3) say behind their length what they hold.
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "image/heic"),
    b"avif": "image/avif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
}
# A ZIP names its first files soon (APPNOTE §4.3.7); office documents are ZIPs.
_IN_ZIP = (
    (b"mimetypeapplication/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.spreadsheet"),
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)  # fmt: skip
_HTML = re.compile(
    rb"<(?:!--|(?:!doctype html|html|head|script|iframe|body|h1|div|font|table|style|title|p|br|a)[\s/>])"
)
_XML = re.compile(rb"<(?:\?xml|svg)[\s>]")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# What no text holds: C0 without tab, line ends, form feed and escape (ISO-2022-JP).
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def sniff(content: bytes) -> str:
    """The media type that the bytes have, whatever the sender calls them; `application/octet-stream` for unknown ones."""
    head = content[:_HEAD_BYTES]
    if not head:
        return UNKNOWN
    return _sniff_prefix(head) or _sniff_container(head) or _sniff_text(head)


def _sniff_prefix(head: bytes) -> str | None:
    return next((media_type for prefix, media_type in _PREFIXES if head.startswith(prefix)), None)


def _sniff_container(head: bytes) -> str | None:
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"PK\x03\x04"):
        return next((media_type for sign, media_type in _IN_ZIP if sign in head), "application/zip")
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image/bmp"
    return None


def _sniff_text(head: bytes) -> str:
    if head.startswith(_BOMS[1:]):
        return "text/plain"
    text = head.removeprefix(_BOMS[0]).lstrip().lower()
    if _HTML.match(text):
        return "text/html"
    if _XML.match(text):
        return "image/svg+xml" if b"<svg" in text else "text/xml"
    return UNKNOWN if _BINARY.search(head) else "text/plain"
