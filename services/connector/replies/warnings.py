"""What a reply holds that Amazon rejects or forbids: an agent is asked before it is sent. Pure; the text is never touched.

The rules are those of Amazon's Communication Guidelines for messages to buyers (Seller Central, help page G1701): no links but Amazon's own, no
e-mail addresses or telephone numbers, nothing that promotes, no asking for a good review or for its removal, no logo that leads
elsewhere. A rule that is found may be wrong, so it asks and never refuses; what Amazon surely refuses is decided elsewhere (files).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from linkify_it import LinkifyIt
from phonenumbers import PhoneNumberMatcher

from shared.language_detection import language_of
from shared.marketplaces import MARKETPLACES

# More than Amazon takes. What is beyond costs time that grows faster than the text.
MOST_CHARACTERS: Final = 10_000
# What stands unseen within a word that was copied from elsewhere: it would hide a link or a telephone number.
_INVISIBLE: Final = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# Of one rule so many places are shown, each so long.
MOST_EXCERPTS: Final = 5
_EXCERPT_CHARACTERS: Final = 80
# After so many, it is clear that the rule is broken; the same place may stand there again and again.
_MOST_LOOKED_AT: Final = 20
_WORDS: Final = Path(__file__).with_name("warning_words.toml")
_AMAZON: Final = tuple(marketplace.retail_domain for marketplace in MARKETPLACES)
# Sentences that end without a space before the next ("kommt an.Es war") look like links; nobody writes a host so.
_CAPITAL_AFTER_DOT: Final = re.compile(r"[a-zß-ÿ]\.[A-Z][a-z]+$")
# Spelled so that programs do not see it: "shop (at) example.com", "shop[ät]example punkt com".
_SPELLED_ADDRESS: Final = re.compile(
    r"[\w.+-]{1,64}\s?[\[({<]\s?(?:at|ät|@)\s?[\])}>]\s?[\w-]{1,63}(?:\s?(?:\.|[\[({<]?\s?(?:dot|punkt|point)\s?[\])}>]?)\s?[\w-]{1,63}){1,4}",
    re.IGNORECASE,
)
_TAG: Final = re.compile(
    r"</?(?:a|b|br|blockquote|body|center|div|em|font|h[1-6]|head|hr|html|i|img|li|link|meta|ol|p|pre|script|span|strong|style|table|tbody|td|th|tr|u|ul)"
    r"(?:\s[^<>]{0,500})?/?>|<!--|<!doctype|&(?:nbsp|amp|lt|gt|quot|auml|ouml|uuml|szlig|euro|#\d{2,6});",
    re.IGNORECASE,
)
_LOGO: Final = re.compile(r"(?<![a-z])logo(?:s|type)?(?![a-z])", re.IGNORECASE)
# Fewer letters say too little of a language: names, "OK", "Merci".
_LETTERS_OF_A_LANGUAGE: Final = 25


class Rule(StrEnum):
    """What Amazon rejects or forbids in a message to a buyer."""

    LINK_OUTSIDE_AMAZON = "link_outside_amazon"
    EMAIL_ADDRESS = "email_address"
    PHONE_NUMBER = "phone_number"
    PROMOTION = "promotion"
    REVIEW_REQUEST = "review_request"
    LOGO = "logo"
    HTML = "html"
    OTHER_LANGUAGE = "other_language"


@dataclass(frozen=True, slots=True)
class Warned:
    """A rule that a reply may break, and the first places where; `languages`: the reply's, and the one that the buyer writes in."""

    rule: Rule
    excerpts: tuple[str, ...] = ()
    languages: tuple[str, str] | None = None


def warnings_of(
    text: str, filenames: Sequence[str], *, country: str | None, buyer_language: str | None
) -> list[Warned]:
    """Every rule that the reply may break, in the order of `Rule`. Of a text that is longer than any reply may be, only its beginning is read.

    `country` is the marketplace's (ISO 3166-1), where a telephone number without its country is at home; `buyer_language`, that of the
    message which is answered, one of MESSAGE_LANGUAGES.
    """
    text = _INVISIBLE.sub("", text[:MOST_CHARACTERS])
    links, addresses = _links_and_addresses(text)
    found = [
        _warned(Rule.LINK_OUTSIDE_AMAZON, links),
        _warned(Rule.EMAIL_ADDRESS, addresses),
        _warned(Rule.PHONE_NUMBER, _phone_numbers(text, country)),
        _warned(Rule.PROMOTION, _phrases(text, Rule.PROMOTION)),
        _warned(Rule.REVIEW_REQUEST, _phrases(text, Rule.REVIEW_REQUEST)),
        _warned(Rule.LOGO, (name for name in filenames if _LOGO.search(name))),
        _warned(Rule.HTML, (match[0] for match in _TAG.finditer(text))),
        _other_language(text, buyer_language),
    ]
    return [warned for warned in found if warned is not None]


def _warned(rule: Rule, places: Iterable[str]) -> Warned | None:
    excerpts = tuple(
        place if len(place) <= _EXCERPT_CHARACTERS else place[: _EXCERPT_CHARACTERS - 1] + "…"
        for place in list(dict.fromkeys(islice(places, _MOST_LOOKED_AT)))[:MOST_EXCERPTS]
    )
    return Warned(rule, excerpts) if excerpts else None


def _links_and_addresses(text: str) -> tuple[list[str], list[str]]:
    links, addresses = [], [match[0] for match in _SPELLED_ADDRESS.finditer(text)]
    for match in _linkify().match(text) or []:
        if match.schema == "mailto:":
            addresses.append(match.text)
        elif not _is_amazons(match.url) and not (
            match.schema == "" and _CAPITAL_AFTER_DOT.search(match.text)
        ):
            links.append(match.text)
    return links, addresses


def _is_amazons(url: str) -> bool:
    """Whether browsers go to one of Amazon's own hosts; what they may read otherwise than we do is not."""
    if "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    return "@" not in parts.netloc and any(
        host == domain or host.endswith(f".{domain}") for domain in _AMAZON
    )


def _phone_numbers(text: str, country: str | None) -> Iterator[str]:
    # Without a country, only those that begin with their own (+49 …).
    return (match.raw_string for match in PhoneNumberMatcher(text, country or "ZZ"))


def _phrases(text: str, rule: Rule) -> Iterator[str]:
    return (match[0] for match in _wording()[rule].finditer(text))


def _other_language(text: str, buyer_language: str | None) -> Warned | None:
    if buyer_language is None or sum(map(str.isalpha, text)) < _LETTERS_OF_A_LANGUAGE:
        return None
    language = language_of(text, {})
    if language is None or language.partition("-")[0] == buyer_language.partition("-")[0]:
        return None
    return Warned(Rule.OTHER_LANGUAGE, languages=(language, buyer_language))


@cache
def _linkify() -> LinkifyIt:
    return LinkifyIt(options={"fuzzy_ip": True})


@cache
def _wording() -> dict[Rule, re.Pattern[str]]:
    """The phrases of all languages: an agent may write any."""
    document = tomllib.loads(_WORDS.read_text(encoding="utf-8"))
    return {
        rule: re.compile(
            "|".join(
                _pattern(phrase) for language in sorted(document[rule]) for phrase in document[rule][language]
            ),
            re.IGNORECASE,
        )
        for rule in (Rule.PROMOTION, Rule.REVIEW_REQUEST)
    }


def _pattern(phrase: str) -> str:
    """`*` stands for the end of a word, `…` for some words between; blanks are any white space."""
    parts = (
        re.escape(part).replace(r"\*", r"\w*").replace(r"\ ", r"\s+")
        for part in (each.strip() for each in phrase.split("…"))
    )
    return r"(?<!\w)" + r"\b[^.!?\n]{0,40}?\b".join(parts) + r"(?!\w)"
