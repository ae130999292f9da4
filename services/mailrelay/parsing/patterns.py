"""How Amazon's mails are worded: read once from the files in `wording/`, which people extend who do not program.

Seen in reports of other developers: the marker lines in English and Spanish, the one `<pre>`, order ids, the shared
address of Amazon Business. Everything else is assumed, so one sign alone never decides. Nothing but wording is here, and
`recognition` decides. `wording/general.toml` says how an entry is added.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER = Path(__file__).parent / "wording"
_GENERAL = "general.toml"

# What stands for the three dots of an entry: enough for a date, a name and an address.
_MAX_GAP_CHARS = 120
_GAP = "…"
# What `fold` makes of the one sign.
_FOLDED_GAP = "..."


class MailKind(StrEnum):
    """What a mail is about; it says nothing about who really sent it."""

    BUYER_MESSAGE = "buyer_message"
    ORDER_NOTICE = "order_notice"
    CLAIM_NOTICE = "claim_notice"
    RETURN_NOTICE = "return_notice"
    DELIVERY_FAILURE = "delivery_failure"
    REPLY_CONFIRMATION = "reply_confirmation"
    VERIFICATION = "verification"
    AUTO_REPLY = "auto_reply"
    OTHER = "other"
    UNPARSEABLE = "unparseable"


class Label(StrEnum):
    """What a line in the header of an older mail names, as the lists of its wordings are called."""

    FROM = "from"
    DATE = "date"
    TO = "to"
    SUBJECT = "subject"
    OTHER = "other_labels"


# The order matters: a failed delivery of a reply about a return is a failed delivery.
_NOTICES: Final = (
    MailKind.DELIVERY_FAILURE,
    MailKind.REPLY_CONFIRMATION,
    MailKind.CLAIM_NOTICE,
    MailKind.RETURN_NOTICE,
    MailKind.ORDER_NOTICE,
    MailKind.VERIFICATION,
)
FAILURE_REASONS: Final = (
    "sender_not_approved",
    "buyer_opted_out",
    "attachment_refused",
    "address_unknown",
    "sender_restricted",
    "guideline_blocked",
    "message_limit",
    "conversation_closed",
    "too_large",
)
_SIGNS = frozenset({"subjects", "texts"})
# `only_da`: what a text must have to be Danish, `not_da`: what it must not have.
_SIGNS_OF_LANGUAGES = frozenset({"only_cs", "only_da", "not_cs", "not_da", "not_ru"})
_HISTORY = frozenset(
    {
        "introductions",
        "tellers",
        "separators",
        *(label.value for label in Label),
        "forwarded",
        "points_below",
        "footers",
        "footer_links",
    }
)
# Section → its lists. Each list holds texts and nothing else.
_IN_A_LANGUAGE: Mapping[str, frozenset[str]] = {
    "buyer_message": frozenset({"opening_markers", "closing_markers"}),
    "order_notice": _SIGNS,
    "claim_notice": _SIGNS,
    "return_notice": _SIGNS,
    "delivery_failure": _SIGNS.union(FAILURE_REASONS),
    "reply_confirmation": _SIGNS,
    "verification": frozenset({"subjects", "codes"}),
    "auto_reply": _SIGNS,
    "quoted_history": _HISTORY,
}
_IN_GENERAL: Mapping[str, frozenset[str]] = {
    "language": _SIGNS_OF_LANGUAGES,
    "senders": frozenset({"any", *(kind.value for kind in _NOTICES)}),
    "frame": frozenset({"signs"}),
    "verification": frozenset({"code_shapes"}),
    "reports": frozenset(FAILURE_REASONS),
    "quoted_history": _HISTORY,
}

# Lists that count in texts of their language only, so that two languages may have the same word.
_OF_ONE_LANGUAGE = frozenset({"tellers"})
# How often the three dots may stand in an entry of a list; a text that is searched for more of them could take long.
_WHOLE_LINE: Final = "introductions"
_GAPS: Mapping[str | tuple[str, str], int] = {
    **dict.fromkeys(("subjects", "texts", *FAILURE_REASONS), 1),
    ("auto_reply", "subjects"): 0,
    _WHOLE_LINE: 3,
}

# File → section → list → its entries, as they stand in the files.
Documents = Mapping[str, Mapping[str, Mapping[str, list[str]]]]


class WordingWrong(ValueError):
    """An entry that cannot be used; the text names file and entry. Raised when the program starts, never for a mail."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A wording of one language. `pattern` is for one with a gap; `head`, what stands before the gap, is quickly found."""

    language: str
    head: str
    pattern: re.Pattern[str] | None

    def is_in(self, text: str) -> bool:
        return self.head in text and (self.pattern is None or self.pattern.search(text) is not None)

    def ends_in(self, text: str) -> Iterator[int]:
        """Where the phrase ends in the text, each time that it occurs. Only for a phrase without a gap."""
        at = text.find(self.head)
        while at >= 0:
            at += len(self.head)
            yield at
            at = text.find(self.head, at)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Wordings of all languages for one thing. All texts given here must be `fold`ed."""

    phrases: tuple[Phrase, ...]

    def language_in(self, text: str) -> str | None:
        """The language of a phrase that the text holds; None if it holds none."""
        return next((phrase.language for phrase in self.phrases if phrase.is_in(text)), None)

    def language_before(self, text: str) -> str | None:
        """The language of a phrase with which the text begins; None if it begins with none."""
        return next((phrase.language for phrase in self.phrases if text.startswith(phrase.head)), None)


@dataclass(frozen=True, slots=True)
class Introduction:
    """A wording of the line above a quoted mail: what stands before, between and after its gaps."""

    language: str
    pieces: tuple[str, ...]

    def is_whole(self, folded: str) -> bool:
        """Whether the text is this wording from its beginning to its end; each gap holds something."""
        first, *between, last = self.pieces
        if not (folded.startswith(first) and folded.endswith(last)):
            return False
        at, end = len(first), len(folded) - len(last)
        for piece in between:
            at = folded.find(piece, at + 1, end) + len(piece)
            if at < len(piece):
                return False
        return at < end


@dataclass(frozen=True, slots=True)
class QuotingWording:
    """How mail programs word what they put around an older mail, `fold`ed; the words of a person's (`tellers`) by language."""

    introductions: tuple[Introduction, ...]
    tellers: Mapping[str, frozenset[str]]
    separators: frozenset[str]
    labels: Mapping[str, Label]
    forwarded: frozenset[str]
    points_below: frozenset[str]
    footers: tuple[str, ...]
    footer_links: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of one kind of mail: who sends it, and what its subject and text hold."""

    kind: MailKind
    senders: frozenset[str]
    subjects: Phrases
    texts: Phrases


@dataclass(frozen=True, slots=True)
class Wording:
    """All files together. What maps to a language maps a folded text to it."""

    signs_of_languages: Mapping[str, frozenset[str]]
    opening_markers: frozenset[str]
    closing_markers: frozenset[str]
    notices: tuple[Signs, ...]
    auto_reply: Signs
    failure_reasons: Mapping[str, Phrases]
    report_statuses: Mapping[str, str]
    code_introductions: Phrases
    code: re.Pattern[str]
    quoting: QuotingWording
    frame_signs: tuple[str, ...]
    system_senders: frozenset[str]


def fold(text: str) -> str:
    """How wording is compared: without case, width, line ends and kinds of apostrophe."""
    straight = unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(straight.casefold().split())


def read_documents(folder: Path = FOLDER) -> Documents:
    """Every file of the folder. Raises WordingWrong for one that is no TOML."""
    documents: dict[str, Any] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            documents[path.name] = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:  # not TOML, or not UTF-8
            raise WordingWrong(f"{path.name}: {error}") from error
    return documents


def build(documents: Documents) -> Wording:
    """All files as one. Raises WordingWrong with the name of file and entry."""
    _check(documents)
    return put_together(documents)


def put_together(documents: Documents) -> Wording:
    """As `build`, of documents that have been checked, or of less than those."""
    failure_reasons = {reason: _phrases(documents, "delivery_failure", reason) for reason in FAILURE_REASONS}
    general = documents[_GENERAL]
    senders = general.get("senders", {})
    everybody = frozenset(senders.get("any", ()))
    notices = tuple(_signs(documents, kind, frozenset(senders.get(kind, ()))) for kind in _NOTICES)
    return Wording(
        signs_of_languages={name: _folded(documents, "language", name) for name in _SIGNS_OF_LANGUAGES},
        opening_markers=_folded(documents, "buyer_message", "opening_markers"),
        closing_markers=_folded(documents, "buyer_message", "closing_markers"),
        notices=notices,
        auto_reply=_signs(documents, MailKind.AUTO_REPLY, frozenset()),
        failure_reasons=failure_reasons,
        report_statuses={
            status: reason for reason, found in general.get("reports", {}).items() for status in found
        },
        code_introductions=_phrases(documents, "verification", "codes"),
        code=_code(general.get("verification", {}).get("code_shapes", [])),
        quoting=_quoting(documents),
        frame_signs=tuple(sign.casefold() for sign in general.get("frame", {}).get("signs", ())),
        system_senders=everybody.union(*(notice.senders for notice in notices)),
    )


def _check(documents: Documents) -> None:
    if _GENERAL not in documents:
        raise WordingWrong(f"{_GENERAL} is missing")
    seen: dict[tuple[str, str, str, str], str] = {}
    for file, section, name, entries in _checked_lists(documents):
        for entry in entries:
            where = f"{file}: [{section}] {name}: {entry!r}"
            _check_entry(where, section, name, entry)
            scope = file if name in _OF_ONE_LANGUAGE else ""
            other = seen.setdefault((scope, section, name, fold(entry)), where)
            if other is not where:
                raise WordingWrong(f"{where}: is there already ({other}); one of the two is enough")


def _checked_lists(documents: Documents) -> Iterator[tuple[str, str, str, list[Any]]]:
    for file, sections in documents.items():
        allowed = _IN_GENERAL if file == _GENERAL else _IN_A_LANGUAGE
        for section, lists in sections.items():
            if section not in allowed or not isinstance(lists, dict):
                raise WordingWrong(f"{file}: there is no section [{section}]; there are {_names(allowed)}")
            for name, entries in lists.items():
                where = f"{file}: [{section}] {name}"
                if name not in allowed[section]:
                    raise WordingWrong(
                        f"{where}: there is no such list; there are {_names(allowed[section])}"
                    )
                if not isinstance(entries, list):
                    raise WordingWrong(f'{where}: must be a list: ["…", "…"]')
                yield file, section, name, entries


def _check_entry(where: str, section: str, name: str, entry: object) -> None:
    if not isinstance(entry, str) or not fold(entry):
        raise WordingWrong(f"{where}: must be a text in quotation marks that is not empty")
    first, *others = entry.split(_GAP)
    if len(others) > _GAPS.get((section, name), _GAPS.get(name, 0)):
        raise WordingWrong(f"{where}: … cannot stand here, or not as often")
    *between, last = others or [first]
    ends = (bool(first.strip()), bool(last.strip()))
    if not all(piece.strip() for piece in between) or not (any(ends) if name == _WHOLE_LINE else all(ends)):
        raise WordingWrong(f"{where}: … stands between words")


def _names(names: Mapping[str, object] | frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _entries(documents: Documents, section: str, name: str) -> Iterator[tuple[str, str]]:
    for file, sections in documents.items():
        for entry in sections.get(section, {}).get(name, ()):
            yield file.removesuffix(".toml"), entry


def _signs(documents: Documents, kind: MailKind, senders: frozenset[str]) -> Signs:
    # Whatever tells why, or introduces a code, tells what the mail is about, too.
    texts = [_phrases(documents, kind, name) for name in sorted(_IN_A_LANGUAGE[kind] - {"subjects"})]
    return Signs(
        kind,
        senders,
        _phrases(documents, kind, "subjects"),
        Phrases(tuple(phrase for phrases in texts for phrase in phrases.phrases)),
    )


def _quoting(documents: Documents) -> QuotingWording:
    def folded(name: str) -> frozenset[str]:
        return _folded(documents, "quoted_history", name)

    return QuotingWording(
        introductions=tuple(
            Introduction(language, tuple(fold(entry).replace(" :", ":").split(_FOLDED_GAP)))
            for language, entry in _entries(documents, "quoted_history", "introductions")
        ),
        tellers={
            file.removesuffix(".toml"): frozenset(
                map(fold, sections.get("quoted_history", {}).get("tellers", ()))
            )
            for file, sections in documents.items()
        },
        separators=folded("separators"),
        labels={entry: label for label in Label for entry in folded(label)},
        forwarded=folded("forwarded"),
        points_below=folded("points_below"),
        footers=tuple(folded("footers")),
        footer_links=folded("footer_links"),
    )


def _phrases(documents: Documents, section: str, name: str) -> Phrases:
    return Phrases(tuple(_phrase(*entry) for entry in _entries(documents, section, name)))


# An entry stands in several lists of what is put together; tests put a thousand such together, each with one entry less.
@cache
def _phrase(language: str, entry: str) -> Phrase:
    folded = fold(entry)
    has_gap = _GAP in entry
    head = fold(entry.partition(_GAP)[0])
    return Phrase(language, head, re.compile(_gaps(folded)) if has_gap else None)


def _gaps(folded: str) -> str:
    gap = rf".{{1,{_MAX_GAP_CHARS}}}?"
    return gap.join(re.escape(piece) for piece in folded.split(_FOLDED_GAP))


def _folded(documents: Documents, section: str, name: str) -> frozenset[str]:
    return frozenset(fold(entry) for _, entry in _entries(documents, section, name))


def _code(shapes: list[str]) -> re.Pattern[str]:
    """Digits as the shapes have them, not within other letters and digits, soon after what introduces them."""
    # Longer ones first, so that none is found within another.
    alternatives = (
        re.escape(shape).replace(r"\#", "[0-9]") for shape in sorted(shapes, key=len, reverse=True)
    )
    return re.compile(rf"[^0-9]{{0,40}}(?<![0-9a-z-])({'|'.join(alternatives) or '(?!)'})(?![0-9a-z-])")


WORDING: Final = build(read_documents())
