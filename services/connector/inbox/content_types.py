"""Under which type a stranger's file leaves: what the mail says and what the bytes are must be the same, and harmless."""

from typing import Final

UNKNOWN: Final = "application/octet-stream"
# Shown inside of a message. Not SVG, which is a document that runs.
IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
# A browser shows these and runs nothing of them.
SAFE: Final = IMAGES | {"application/pdf", "text/plain"}
_OTHER_NAMES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}


def safe_type(declared: str, sniffed: str | None) -> str:
    """The type for the download; bytes without a type unless both agree on one that is safe."""
    named = declared.partition(";")[0].strip().lower()
    named = _OTHER_NAMES.get(named, named)
    return named if named == sniffed and named in SAFE else UNKNOWN
