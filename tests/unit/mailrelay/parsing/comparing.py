"""What tests of this room share: how they look for HTML that does more than format."""

import re

from services.mailrelay.parsing.safe_html import _TAGS

_TAG = re.compile(r"<([^<>]*)>")
_LINK = re.compile(r'a href="(?:https?://|mailto:)[^"]*"', re.IGNORECASE)
_IMAGE = re.compile(r'img(?: src="cid:[^"]*"| alt="[^"]*")*', re.IGNORECASE)


def first_disallowed_html(html: str) -> str | None:
    """The first tag that is not one of the formatting ones, without any attribute, nor an inert link or image."""
    for match in _TAG.finditer(html):
        tag = match.group(1)
        if tag.removeprefix("/") not in _TAGS and not _LINK.fullmatch(tag) and not _IMAGE.fullmatch(tag):
            return match.group()
    # Outside of tags no angle is left that could open one.
    rest = _TAG.sub("", html)
    return "<" if "<" in rest else None
