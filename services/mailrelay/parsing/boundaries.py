"""Where the parts of a mail begin whose header does not say it, or says it wrongly."""

import re
from typing import Final

# RFC 2046 §5.1.1 allows 70 characters.
_DELIMITER: Final = re.compile(rb"--([^\r\n]{1,70}?)[ \t]{0,100}\r?\nContent-[A-Za-z-]{1,40}:", re.IGNORECASE)
# A few lines above the parts are for programs that know no MIME.
_MAX_LINES: Final = 50
_MAX_LINE_BYTES: Final = 1_000


def find_boundary(raw: bytes, start: int, end: int) -> bytes | None:
    """The boundary by the first line that looks like a delimiter and has a part's header below it, among the first lines there."""
    for _ in range(_MAX_LINES):
        found = _DELIMITER.match(raw, start, end)
        if found is not None:
            return found.group(1)
        line_end = raw.find(b"\n", start, min(end, start + _MAX_LINE_BYTES))
        if line_end < 0:
            return None
        start = line_end + 1
    return None
