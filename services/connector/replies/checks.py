"""What keeps a reply from being sent, told one way while it is typed and when it is sent. Pure.

What Amazon surely refuses, and what surely is a mistake, blocks; whatever only may be one is a warning (`warnings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.connector.http.language import Language
from services.connector.replies.allowed_files import Refusal, check_together
from services.connector.replies.own_words import says_something, shows_nothing
from services.connector.replies.texts import refusal_text, rule_text
from services.connector.replies.warnings import Warned
from services.connector.reply_templates.placeholders import names_in
from shared.errors import Expected
from shared.tables import Scan

# As many as Seller Central's own box takes.
MOST_CHARACTERS: Final = 4_000


class ReplyEmpty(Expected):
    """There is nothing in it but what the buyer wrote themselves."""

    code = "reply_empty"


class ReplyTooLong(Expected):
    """Amazon takes no message of this length."""

    code = "reply_too_long"


class PlaceholdersMissing(Expected):
    """A placeholder of a template has stayed in the text."""

    code = "placeholders_missing"


class FilesRefused(Expected):
    """A file, or several together, cannot be sent; `reason` says why."""

    code = "files_refused"


class ReplyWarned(Expected):
    """The reply may break rules of Amazon's that nobody has confirmed."""

    code = "reply_warned"


@dataclass(frozen=True, slots=True)
class ChosenFile:
    """What decides about a file of a reply."""

    filename: str
    size: int
    scan: str | None


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """What would be said to a reply if it were sent now."""

    warnings: Sequence[Warned]
    blocked: Sequence[Expected]
    files_bytes: int


def characters_of(text: str) -> int:
    """How many Amazon gets to see: what is blank before and after them is not sent."""
    return len(text.strip())


def blocked_by(text: str, files: Sequence[ChosenFile], language: Language) -> list[Expected]:
    """Everything for which this reply is not sent, but that it says nothing."""
    found: list[Expected] = []
    if characters_of(text) > MOST_CHARACTERS:
        found.append(ReplyTooLong(limit=MOST_CHARACTERS))
    if names := names_in(text):
        missing = PlaceholdersMissing(names=", ".join(names))
        missing.shown = {"names": list(names)}
        found.append(missing)
    refusal = check_together([file.size for file in files])
    if any(file.scan == Scan.INFECTED for file in files):
        refusal = Refusal.INFECTED
    if refusal is not None:
        found.append(files_refused(refusal, language))
    return found


def files_refused(refusal: Refusal, language: Language) -> FilesRefused:
    return FilesRefused(reason=refusal.value, why=refusal_text(refusal, language).removesuffix("."))


def require_sendable(text: str, files: Sequence[ChosenFile], language: Language) -> None:
    """Raises ReplyEmpty, ReplyTooLong, PlaceholdersMissing, FilesRefused. Files may go without words, but not with the buyer's alone."""
    if not says_something(text) and not (files and shows_nothing(text)):
        raise ReplyEmpty
    for problem in blocked_by(text, files, language):
        raise problem


def require_confirmed(
    text: str, warnings: Sequence[Warned], confirmed: Sequence[str], language: Language
) -> None:
    """Raises ReplyWarned, with the rules that nobody has confirmed."""
    open_ones = [warned for warned in warnings if warned.rule not in confirmed]
    if open_ones:
        problem = ReplyWarned()
        problem.shown = {"warnings": [shown_warning(text, warned, language) for warned in open_ones]}
        raise problem


def shown_warning(text: str, warned: Warned, language: Language) -> dict[str, object]:
    """A warning as it goes over the wire; where an excerpt is in the text, counted in characters, null for a file's name."""
    excerpts = []
    for excerpt in warned.excerpts:
        words = excerpt.removesuffix("…")
        start = text.find(words)
        place = (None, None) if start < 0 else (start, start + len(words))
        excerpts.append({"start": place[0], "end": place[1], "text": excerpt})
    return {"code": warned.rule.value, "rule": rule_text(warned, language), "excerpts": excerpts}
