"""A buyer's words and, below them, the older mail that a mail program has put there.

Programs do it in two ways: the lines of the older mail have `>` before them, or they have not, and then only what stands above
them tells where it begins. Words of the buyer's are never taken off: where a person might have put it there, nothing is.
"""

from collections.abc import Sequence

from services.mailrelay.parsing.older_mail import (
    MAX_HEADER_LINES,
    MAX_INTRODUCTION_LINES,
    OlderHeader,
    is_footer,
    is_forwarding,
    is_introduction,
    is_quoted,
    is_rule,
    is_separator,
    is_unfinished,
    points_below,
    read_header,
    seen_lines,
)
from services.mailrelay.parsing.patterns import Label, QuotingWording, Wording

# Below a program's separator, so many lines like `From:` make a header.
MIN_LABELS = 2

_QUOTATION_MARKS = (
    '"',
    "'",
    *"\N{DOUBLE LOW-9 QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}«»「『",
)

# The first line of a history, and the line below its last.
_Span = tuple[int, int]


def split_history(text: str, wording: Wording) -> tuple[str, str | None]:
    """The buyer's own words, and the history quoted below them. Nothing is taken off that does not certainly begin an older mail."""
    seen = seen_lines(text)
    found = min(
        filter(None, (_marked_history(seen, wording.quoting), _unmarked_history(seen, wording))), default=None
    )
    if found is None or any(is_forwarding(line, wording.quoting) for line in seen[: found[0]]):
        return text, None
    lines = text.split("\n")
    above, quoted, below = (
        "\n".join(piece).strip() for piece in (lines[: found[0]], lines[slice(*found)], lines[found[1] :])
    )
    # Someone who answers without a word of their own, or between the quoted lines, is shown whole.
    return ("\n\n".join(filter(None, (above, below))), quoted) if above else (text, None)


def without_quotes(text: str, wording: Wording) -> str:
    """The text without lines that have `>` before them and what introduces them: for what is made of the words alone."""
    seen = seen_lines(text)
    left_out = {at for at, line in enumerate(seen) if is_quoted(line)}
    for at in sorted(left_out):
        start = _start_of_introduction(seen, at, wording.quoting) if at - 1 not in left_out else None
        left_out.update(range(at if start is None else start, at))
    return "\n".join(line for at, line in enumerate(text.split("\n")) if at not in left_out)


def _marked_history(seen: Sequence[str], wording: QuotingWording) -> _Span | None:
    """Lines with `>` below a known introduction, or with one inside, and nothing below them but a footer or a signature."""
    last = next((at for at in range(len(seen) - 1, -1, -1) if is_quoted(seen[at])), None)
    if last is None:
        return None
    end = _end_of_history(seen, last + 1, wording)
    if end is None:
        return None
    first = last
    while first > 0 and (not seen[first - 1] or is_quoted(seen[first - 1])):
        first -= 1
    start = _start_of_introduction(seen, first, wording)
    if start is None:
        first = _next_line(seen, first)
        start = first if _is_introduced_inside(seen[first : last + 1], wording) else None
    return (_with_separator(seen, start, wording), end) if start is not None else None


def _is_introduced_inside(quoted: Sequence[str], wording: QuotingWording) -> bool:
    """Whether the first lines within the quote introduce it, as Apple's programs write them."""
    inside = [line.removeprefix(">").strip() for line in quoted[: MAX_HEADER_LINES + MAX_INTRODUCTION_LINES]]
    first = _next_line(inside, 0)
    header = read_header(inside, first, wording)
    return (header is not None and header.is_certain) or any(
        is_introduction(inside[first : first + count], wording, is_marked=True)
        for count in range(1, MAX_INTRODUCTION_LINES + 1)
    )


def _end_of_history(seen: Sequence[str], at: int, wording: QuotingWording) -> int | None:
    """Where a history ends whose last quoted line is above; None if the buyer may have written on below it."""
    below = _next_line(seen, at)
    # A signature (RFC 3676 §4.3) stays with the words.
    if seen[below : below + 1] == ["--"] and not is_footer(_paragraph(seen, below), wording):
        return below
    while below < len(seen):
        paragraph = _paragraph(seen, below)
        if not is_footer(paragraph, wording):
            return None
        below = _next_line(seen, below + len(paragraph))
    return below


def _start_of_introduction(seen: Sequence[str], end: int, wording: QuotingWording) -> int | None:
    """Where the introduction begins that stands above the line, if one does."""
    while end > 0 and not seen[end - 1]:
        end -= 1
    for count in range(1, min(MAX_INTRODUCTION_LINES, end) + 1):
        if is_introduction(seen[end - count : end], wording, is_marked=True):
            return end - count
    for start in range(max(0, end - MAX_HEADER_LINES), end):
        header = read_header(seen, start, wording)
        if header is not None and header.end == end and header.is_certain:
            return start
    return None


def _unmarked_history(seen: Sequence[str], wording: Wording) -> _Span | None:
    """An introduction or a header of a program's, with an older mail below it that has no `>`; it goes on to the end."""
    for at, line in enumerate(seen):
        if not line or is_quoted(line):
            continue
        found = _older_mail_at(seen, at, wording.quoting)
        if found is None:
            continue
        start, header, below = found
        # The mail itself must be there. Where its lines have `>`, these tell how far it goes.
        below = _next_line(seen, below)
        if below == len(seen) or is_quoted(seen[below]):
            continue
        # Nobody's mail begins with a quotation mark: a person quotes it.
        is_cited = seen[below].startswith(_QUOTATION_MARKS)
        return None if is_cited or _is_doubtful(seen, start, header, wording) else (start, len(seen))
    return None


def _older_mail_at(
    seen: Sequence[str], at: int, wording: QuotingWording
) -> tuple[int, OlderHeader | None, int] | None:
    """Where the history begins whose sign is in the line, its header, and the line below that or below the introduction."""
    line = seen[at]
    if is_separator(line, wording):
        header = read_header(seen, _next_line(seen, at + 1), wording)
        if header is not None and Label.FROM in header.values and len(header.values) >= MIN_LABELS:
            return at, header, header.end
    header = read_header(seen, at, wording)
    if header is not None and header.is_certain:
        return _with_separator(seen, at, wording), header, header.end
    if is_unfinished(line):
        for start in range(at, max(-1, at - MAX_INTRODUCTION_LINES), -1):
            stands_alone = start == 0 or not seen[start - 1] or is_separator(seen[start - 1], wording)
            if stands_alone and is_introduction(seen[start : at + 1], wording, is_marked=False):
                return _with_separator(seen, start, wording), None, at + 1
    return None


def _is_doubtful(seen: Sequence[str], start: int, header: OlderHeader | None, wording: Wording) -> bool:
    """Whether the buyer may have put the older mail there to show it, or have answered within it."""
    own = [line for line in seen[:start] if line]
    return (
        (header is not None and header.is_from_a_machine(wording.system_senders))
        or (bool(own) and is_unfinished(own[-1]))
        # "Hello," and then a mail with words of their own below it.
        or (len(own) == 1 and own[0].endswith(",") and not is_separator(seen[start], wording.quoting))
        or points_below(own, wording.quoting)
    )


def _with_separator(seen: Sequence[str], start: int, wording: QuotingWording) -> int:
    """The start of a history, or of the line that a program has drawn above it."""
    above = start - 1
    while above > 0 and not seen[above]:
        above -= 1
    return above if above >= 0 and (is_rule(seen[above]) or is_separator(seen[above], wording)) else start


def _next_line(seen: Sequence[str], at: int) -> int:
    """The first line from there on that is not empty."""
    while at < len(seen) and not seen[at]:
        at += 1
    return at


def _paragraph(seen: Sequence[str], start: int) -> Sequence[str]:
    """The lines from there to the next empty one."""
    end = start
    while end < len(seen) and seen[end]:
        end += 1
    return seen[start:end]
