"""Lists of `name=value; name=value`, as signatures, keys and policies have them (RFC 6376 §3.2)."""

import base64
import binascii
import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_BLANK = re.compile(r"[ \t\r\n]+")


class TagsUnreadable(ValueError):
    """The text is no list of tags, or names a tag twice."""


def read_tags(text: str) -> dict[str, str]:
    """The tags in their order, values without the blanks around them. Raises TagsUnreadable."""
    tags: dict[str, str] = {}
    entries = text.split(";")
    if not entries[-1].strip(" \t\r\n"):
        entries.pop()
    for entry in entries:
        name, equals, value = entry.partition("=")
        name = name.strip(" \t\r\n")
        if not equals or _NAME.fullmatch(name) is None or name in tags:
            raise TagsUnreadable
        tags[name] = value.strip(" \t\r\n")
    return tags


def words_of(value: str) -> list[str]:
    """The entries of a value that is a list with colons, in lower case."""
    return [word.strip(" \t\r\n").lower() for word in value.split(":")]


def bytes_of(value: str) -> bytes:
    """What is written in base64, with blanks anywhere. Raises TagsUnreadable."""
    try:
        return base64.b64decode(_BLANK.sub("", value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise TagsUnreadable from error
