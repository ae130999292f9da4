"""A name for a stranger's file under which it may be shown and saved."""

import unicodedata

# Enough for names that people see; file systems end at 255 bytes. The end is kept, as it says what the file is.
MAX_FILENAME_CHARS = 150
_KEPT_END_CHARS = 30
# Refused by one file system or another, or read as a path.
_FORBIDDEN = frozenset('/\\:*?"<>|')
_FOR_NAMELESS = {
    "message/rfc822": "message.eml",
    "text/plain": "text.txt",
    "text/html": "page.html",
    "application/pdf": "document.pdf",
    "image/jpeg": "image.jpg",
    "image/png": "image.png",
    "image/gif": "image.gif",
}


def safe_filename(filename: str | None, content_type: str) -> str:
    """Without paths, control characters and direction marks: the ending that is seen is the ending that it has."""
    visible = (
        character
        for character in unicodedata.normalize("NFC", filename or "")
        # Cf holds U+202E, which turns `gpj.exe` around; Cc, Cs and Co are nothing to read either.
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    cleaned = "".join("_" if character in _FORBIDDEN else character for character in visible)
    return " ".join(cleaned.split()).strip(". ") or _FOR_NAMELESS.get(content_type, "attachment.bin")


def shorten_filename(filename: str) -> str:
    """With its beginning and its end, if it has more than MAX_FILENAME_CHARS."""
    if len(filename) <= MAX_FILENAME_CHARS:
        return filename
    return filename[: MAX_FILENAME_CHARS - _KEPT_END_CHARS] + filename[-_KEPT_END_CHARS:]
