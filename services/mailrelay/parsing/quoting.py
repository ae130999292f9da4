"""A buyer's words and, below them, the older mail that a mail program has put there."""

from itertools import takewhile

from services.mailrelay.parsing.patterns import Wording, fold

# A date, a name and an address; mail programs break such a line in two or three.
MAX_INTRODUCTION_CHARS = 300
MAX_INTRODUCTION_LINES = 3
# So many lines like `From:`, one below the other, make the header of an older mail.
MIN_LABELS = 2
MAX_HEADER_LINES = 8


def split_history(text: str, wording: Wording) -> tuple[str, str | None]:
    """The buyer's own words, and the history quoted below them. Nothing is taken off that does not certainly begin an older mail."""
    lines = text.split("\n")
    at = _start_of_quote(lines, wording)
    if at is None:
        at = _start_of_older_mail(lines, wording)
    if at is None:
        return text, None
    own = "\n".join(lines[:at]).strip()
    # Someone who answers without a word of their own, or between the quoted lines, is shown whole.
    return (own, "\n".join(lines[at:]).strip()) if own else (text, None)


def _start_of_quote(lines: list[str], wording: Wording) -> int | None:
    """Where a known introduction stands with nothing but `>` lines below it."""
    first = len(lines)
    while first > 0 and (not lines[first - 1] or lines[first - 1].startswith(">")):
        first -= 1
    if not any(line.startswith(">") for line in lines[first:]):
        return None
    for count in range(1, min(MAX_INTRODUCTION_LINES, first) + 1):
        introduction = " ".join(lines[first - count : first])
        if len(introduction) > MAX_INTRODUCTION_CHARS:
            return None
        folded = fold(introduction)
        if any(known.fullmatch(folded) for known in wording.introductions):
            return first - count
    return None


def _start_of_older_mail(lines: list[str], wording: Wording) -> int | None:
    """Where a known separator stands right above the header of an older mail."""
    for at, line in enumerate(lines):
        if line.startswith(("--", "__")) and _is_separator(line, wording):
            below = [line for line in lines[at + 1 : at + 1 + MAX_HEADER_LINES] if line]
            if (
                sum(1 for _ in takewhile(lambda line: fold(line).startswith(wording.labels), below))
                >= MIN_LABELS
            ):
                return at
    return None


def _is_separator(line: str, wording: Wording) -> bool:
    # How many dashes there are differs from program to program.
    return len(line) <= MAX_INTRODUCTION_CHARS and fold(line).strip("-_ ") in wording.separators
