"""A name for a stranger's file under which it may be shown and saved."""

import unicodedata

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
