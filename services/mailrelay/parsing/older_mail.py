"""What mail programs write around an older mail: a sentence or a header above it, a line drawn, a footer below.

Each question is about a few lines, as `seen_lines` gives them, and takes no longer for a longer text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.mailrelay.parsing.patterns import Label, QuotingWording, fold
from shared.marketplaces import MARKETPLACES

# A date, a name and an address; mail programs break such a line in two or three.
MAX_INTRODUCTION_CHARS = 300
MAX_INTRODUCTION_LINES = 3
MAX_HEADER_LINES = 12
MAX_LABEL_CHARS = 40
# Virus scanners and free mailers write a few lines below a mail.
MAX_FOOTER_LINES = 4
# Of the signs that draw a line, so many at least make one.
MIN_RULE_CHARS = 5
_RULE_SIGNS = "-_=*\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{EM DASH}"

# Marks for direction and width that programs put around names and dates; nobody sees them.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"))  # fmt: skip
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_ADDRESS = re.compile(r"[^\s<>\[\]()\",;:@]{1,100}@([^\s<>\[\]()\",;:@]{1,255})")
# Of the clock; with a dot only where it cannot be a part of a date.
_TIME = re.compile(r"(?<![\d.])\d{1,2}(?:[:時]\d\d|\s?h\s?\d\d|\.\d\d(?![\d.]))")
# One for the day, two for the month or the year at least.
_MIN_DATE_DIGITS = 3
# Of the four things that every header names, so many; and all of them where it names no address.
_MIN_NAMED = 3
_NAMED = (Label.FROM, Label.DATE, Label.TO, Label.SUBJECT)
_RETAIL_DOMAINS = frozenset(marketplace.retail_domain for marketplace in MARKETPLACES)


@dataclass(frozen=True, slots=True)
class OlderHeader:
    """The header of an older mail: what its lines name, and the line below it."""

    values: Mapping[Label, str]
    end: int

    @property
    def is_certain(self) -> bool:
        """Whether a program wrote it: nobody writes sender, time and recipient or subject by hand, and an address with them."""
        named = [label for label in _NAMED if label in self.values]
        if Label.FROM not in self.values or len(named) < _MIN_NAMED:
            return False
        has_address = any("@" in self.values.get(label, "") for label in (Label.FROM, Label.TO))
        date = self.values.get(Label.DATE, "")
        return (
            (has_address or len(named) == len(_NAMED)) and _tells_day(date) and _TIME.search(date) is not None
        )

    def is_from_a_machine(self, system_senders: frozenset[str]) -> bool:
        """Whether nobody answers such a mail: whoever has it below their words shows it."""
        return any(
            address.group().partition("@")[0].lower() in system_senders
            or address.group(1).lower() in _RETAIL_DOMAINS
            for address in _ADDRESS.finditer(self.values.get(Label.FROM, ""))
        )


def seen_lines(text: str) -> list[str]:
    """The lines as a reader sees them: without marks of no width, and without blanks around them."""
    return [line.strip() for line in text.translate(_UNSEEN).split("\n")]


def is_quoted(line: str) -> bool:
    return line.startswith(">")


def is_introduction(lines: Sequence[str], wording: QuotingWording, *, is_marked: bool) -> bool:
    """Whether the lines are a program's sentence above an older mail, from their first letter to their last.

    It tells the day and, beside it, the time or an address; both where no `>` follows. A sentence about "you" or "me" is a person's.
    """
    whole = " ".join(lines)
    if len(whole) > MAX_INTRODUCTION_CHARS:
        return False
    # An address that is broken begins further up, and so does the name before it.
    if whole.startswith("<") or whole.count("<") != whole.count(">"):
        return False
    has_time, has_address = _TIME.search(whole) is not None, "@" in whole
    if not (has_time or has_address) or not (is_marked or (has_time and has_address)):
        return False
    if not _tells_day(_ADDRESS.sub("", whole)):
        return False
    folded = fold(whole).lstrip(f"{_RULE_SIGNS} ").replace(" :", ":")
    languages = {known.language for known in wording.introductions if known.is_whole(folded)}
    words = _WORD.findall(_ADDRESS.sub("", folded))
    return bool(languages) and all(wording.tellers[language].isdisjoint(words) for language in languages)


def read_header(lines: Sequence[str], at: int, wording: QuotingWording) -> OlderHeader | None:
    """The header of an older mail that begins in the line; None if the line is none of it.

    An empty line may stand between two of its lines, and addresses may take several.
    """
    values: dict[Label, str] = {}
    end, last = at, Label.OTHER
    for number in range(at, min(at + 2 * MAX_HEADER_LINES, len(lines))):
        line = lines[number]
        if not line:
            if number > end:
                break
            continue
        name, colon, value = _label_and_value(line)
        label = wording.labels.get(name) if colon else None
        if label is not None:
            if label is not Label.OTHER and label in values:
                break
            values[label], last = value, label
        elif values and "@" in line and last in {Label.FROM, Label.TO, Label.OTHER} and number == end:
            values[last] += f" {line[:MAX_INTRODUCTION_CHARS]}"
        else:
            break
        end = number + 1
    return OlderHeader(values, end) if values else None


def _label_and_value(line: str) -> tuple[str, str, str]:
    # Bold letters become asterisks in plain text.
    name, colon, value = (
        line[:MAX_INTRODUCTION_CHARS].lstrip("> ").replace("\N{FULLWIDTH COLON}", ":").partition(":")
    )
    return (
        (fold(name.strip("*_ ")), colon, value.strip("*_ ")) if len(name) <= MAX_LABEL_CHARS else ("", "", "")
    )


def is_rule(line: str) -> bool:
    """Whether the line is drawn, not written."""
    return len(line) >= MIN_RULE_CHARS and not line.strip(_RULE_SIGNS)


def is_separator(line: str, wording: QuotingWording) -> bool:
    """Whether the line says, between dashes, that an older mail follows."""
    return line.startswith(tuple(_RULE_SIGNS)) and _written(line) in wording.separators


def is_forwarding(line: str, wording: QuotingWording) -> bool:
    """Whether the line says that a forwarded mail follows: the buyer shows it, so it is no history."""
    return _written(line) in wording.forwarded


def _written(line: str) -> str:
    # How many dashes there are differs from program to program.
    return fold(line).strip(f"{_RULE_SIGNS}>: ") if len(line) <= MAX_INTRODUCTION_CHARS else ""


def is_footer(paragraph: Sequence[str], wording: QuotingWording) -> bool:
    """Whether the lines are what a program writes below every mail. It asks nothing."""
    if len(paragraph) > MAX_FOOTER_LINES:
        return False
    folded = fold(" ".join(line[:MAX_INTRODUCTION_CHARS] for line in paragraph)).lstrip(f"{_RULE_SIGNS} ")
    return not folded or (
        "?" not in folded
        and (folded.startswith(wording.footers) or any(link in folded for link in wording.footer_links))
    )


def is_unfinished(line: str) -> bool:
    """Whether the line announces what comes next."""
    return line.endswith((":", "\N{FULLWIDTH COLON}"))


def points_below(lines: Sequence[str], wording: QuotingWording) -> bool:
    """Whether the words say that there is more to read further down."""
    folded = fold("\n".join(lines))
    return any(pointer in folded for pointer in wording.points_below)


def _tells_day(text: str) -> bool:
    return sum(1 for _ in _DIGIT.finditer(_TIME.sub("", text))) >= _MIN_DATE_DIGITS
