"""Where the sign-in page may lead on to. `static/core/own_address.js` decides the same, and one test holds both to one table."""

import re
from typing import Final

HOME: Final = "/"
# Written as our pages are, not as browsers forgive: they take a backslash for a slash, drop tabs and line breaks, and make "//host"
# of "/.//host", and that is another host.
_OWN: Final = re.compile(r"/|(/[A-Za-z0-9_-]+)+/?(\?[A-Za-z0-9_.~%&=+:,;@!$'()*/?-]*)?")
_MOST: Final = 2000


def own_address(wanted: str | None) -> str:
    """The address, if it is one of our pages; else the start page."""
    return wanted if wanted and len(wanted) <= _MOST and _OWN.fullmatch(wanted) else HOME
