"""What tests of this room share: how they look for HTML that does more than format."""

import re

from services.mailrelay.parsing.safe_html import _TAGS

_TAG = re.compile(r"<([^<>]*)>")


def first_disallowed_html(html: str) -> str | None:
    """The first tag that is not one of the formatting ones, without any attribute; None if there is none."""
    for match in _TAG.finditer(html):
        if match.group(1).removeprefix("/") not in _TAGS:
            return match.group()
    # Outside of tags no angle is left that could open one.
    rest = _TAG.sub("", html)
    return "<" if "<" in rest else None
