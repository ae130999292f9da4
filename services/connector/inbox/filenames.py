"""A stranger's file name in an answer: cleaned, then written so that every browser reads it (RFC 6266, RFC 8187)."""

import unicodedata
from typing import Final
from urllib.parse import quote

# Most file systems take 255 bytes; a browser may add " (1)".
_MAX_BYTES: Final = 200
_MAX_ENDING_CHARACTERS: Final = 16
# Controls, direction marks and other formats (U+202E shows `gpj.exe` as `exe.jpg`), surrogates, private and unassigned ones,
# line and paragraph separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FORBIDDEN: Final = frozenset('/\\:*?"<>|')
# Windows opens a device instead of a file of this name, whatever the ending.
_DEVICES: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL"}
    | {f"{device}{number}" for device in ("COM", "LPT") for number in range(1, 10)}
)
_NAMELESS: Final = "attachment.bin"
# RFC 8187 §3.2.1, attr-char without the letters and digits.
_ATTR_CHARACTERS: Final = "!#$&+-.^_`|~"


def clean_filename(filename: str) -> str:
    """One path segment that shows the ending that it has; never empty."""
    segment = filename.replace("\\", "/").rpartition("/")[2]
    seen = "".join(
        "_" if character in _FORBIDDEN else character
        for character in unicodedata.normalize("NFC", segment)
        if unicodedata.category(character) not in _UNSEEN
    )
    name = _shortened(" ".join(seen.split()).strip(". "))
    if name.partition(".")[0].strip().upper() in _DEVICES:
        name = f"_{name}"
    return name or _NAMELESS


def content_disposition(filename: str) -> str:
    """The header's value for a download; `filename` need not be clean."""
    name = clean_filename(filename)
    # Some browsers decode a percent sign in the plain form, so it may not stand there.
    plain = "".join(character if character.isascii() and character not in "%;" else "_" for character in name)
    value = f'attachment; filename="{plain}"'
    return value if plain == name else f"{value}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARACTERS)}"


def _shortened(name: str) -> str:
    """The name cut to the limit in its stem, not in its ending."""
    if len(name.encode()) <= _MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > _MAX_ENDING_CHARACTERS:
        stem, dot, ending = name, "", ""
    room = _MAX_BYTES - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + dot + ending
