"""What a file is, by its bytes and its name. Pure.

By its bytes, never by what the browser said; its name only tells apart what looks alike in bytes, so that an invoice in a document of
Word's does not come as an archive.
"""

from typing import Final

from shared.sniffing import UNKNOWN

_OLE: Final = "application/x-ole-storage"
_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument"
# What the bytes are → the ending → what such a file is.
_BY_ENDING: Final = {
    "application/zip": {
        "docx": f"{_OPEN_XML}.wordprocessingml.document",
        "xlsx": f"{_OPEN_XML}.spreadsheetml.sheet",
        "pptx": f"{_OPEN_XML}.presentationml.presentation",
        "odt": "application/vnd.oasis.opendocument.text",
        "ods": "application/vnd.oasis.opendocument.spreadsheet",
    },
    _OLE: {
        "doc": "application/msword",
        "xls": "application/vnd.ms-excel",
        "ppt": "application/vnd.ms-powerpoint",
    },
    "text/plain": {"csv": "text/csv"},
}


def content_type_of(sniffed: str, name: str) -> str:
    """The media type of a file with these bytes (`sniff`) and this name; `application/octet-stream` for what is not known."""
    by_ending = _BY_ENDING.get(sniffed, {}).get(name.rpartition(".")[2].lower(), sniffed)
    # It is our own word, which no program knows.
    return UNKNOWN if by_ending == _OLE else by_ending
