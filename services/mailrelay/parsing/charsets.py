"""Bytes → text: which character set they are in, whatever their label says.

One decision for bodies, subjects, names and file names: `choose_codec`, whose rows stand in docs/mail.md. Nothing here raises, and a
byte that cannot be read costs one replacement character, never the text. Why these libraries: ADR 19.
"""

import re
from functools import lru_cache
from typing import Final

import chardet
from webencodings import PYTHON_NAMES
from webencodings.labels import LABELS

from services.mailrelay.parsing.iso2022 import REPLACEMENT, decode_euc_jp, decode_iso_2022, has_escapes

ISO_2022: Final = "iso-2022"
EUC_JP: Final = "euc-jp"
_UTF_8 = "utf-8"
_WESTERN = "cp1252"


# What a browser reads as something else, or not at all, and a mail means (Python's codec, or one of the two above).
_BY_ENCODING = {
    "iso-2022-jp": ISO_2022,
    "euc-jp": EUC_JP,
    "gbk": "gb18030",
    "replacement": None,
    "x-user-defined": None,
}


def _collapse(label: str) -> str:
    return "".join(letter for letter in label.lower() if letter.isascii() and letter.isalnum())


def _codec_of_encoding(name: str) -> str | None:
    """The codec for an encoding of the WHATWG's standard: one of Python's, by the name that Python gives it."""
    if name in _BY_ENCODING:
        return _BY_ENCODING[name]
    python_name = PYTHON_NAMES.get(name, name)
    for theirs, pythons in (
        ("windows-", "cp"),
        ("iso-8859", "iso8859"),
        ("ibm", "cp"),
        ("utf-16", "utf-16-"),
    ):
        python_name = python_name.replace(theirs, pythons)
    return python_name


_DOS = ("437", "737", "775", "850", "852", "855", "857", "858", "860", "861", "862", "863", "864", "865", "866", "869", "1125")  # fmt: skip
# Windows' numbers of code pages that are not the number of a codec.
_NUMBERED = {
    "65001": "utf-8", "65000": "utf-7", "1200": "utf-16-le", "1201": "utf-16-be", "12000": "utf-32-le", "12001": "utf-32-be",
    "10000": "mac-roman", "10006": "mac-greek", "10007": "mac-cyrillic", "10029": "mac-latin2", "10081": "mac-turkish",
    "819": "cp1252", "912": "iso8859-2", "915": "iso8859-5", "874": "cp874", "878": "koi8-r", "20866": "koi8-r", "21866": "koi8-u",
    "932": "cp932", "943": "cp932", "936": "gb18030", "1386": "gb18030", "51936": "gb18030", "54936": "gb18030", "52936": "hz",
    "949": "cp949", "51949": "cp949", "1361": "johab", "950": "big5hkscs", "951": "big5hkscs",
    "50220": ISO_2022, "50221": ISO_2022, "50222": ISO_2022, "50225": ISO_2022, "50227": ISO_2022, "20932": EUC_JP, "51932": EUC_JP,
    **{f"125{n}": f"cp125{n}" for n in range(9)},
    **{f"2859{n}": f"iso8859-{n}" for n in range(2, 9)}, "28591": "cp1252", "28599": "cp1254", "28603": "iso8859-13", "28605": "iso8859-15",
    **{number: f"cp{number}" for number in _DOS},
}  # fmt: skip
# Without hyphens, blanks and the like, as mail writes all of them in many ways. A table and not `codecs.lookup`: that would
# import modules by a name that a stranger chose, and offers codecs that take quadratic time (punycode, idna) or are none (rot13).
_CODECS: Final[dict[str, str | None]] = {
    **{_collapse(label): _codec_of_encoding(name) for label, name in LABELS.items()},
    **{f"{prefix}{number}": codec for number, codec in _NUMBERED.items() for prefix in ("cp", "ibm", "win", "windows", "ms", "dos", "codepage")},
    **dict.fromkeys(("iso2022jp1", "iso2022jp2", "iso2022jp3", "iso2022jp2004", "iso2022jpext", "iso2022jpms", "iso2022kr"), ISO_2022),
    **dict.fromkeys(("csiso2022jp2", "csiso2022kr", "iso2022cn", "iso2022cnext", "jis", "jis7"), ISO_2022),
    **dict.fromkeys(("eucjpms", "eucjpwin", "ujis", "cseucjp", "eucj"), EUC_JP),
    **dict.fromkeys(("sjiswin", "sjis2004", "mskanji", "windows31j", "shiftjisx0213", "shiftjis2004"), "cp932"),
    **dict.fromkeys(("hz", "hzgb", "hzgb2312"), "hz"),
    **dict.fromkeys(("gb", "euccn", "eucgb2312cn", "gb231280", "gbk2312", "gb180302000", "gb180302005", "gb18030"), "gb18030"),
    **dict.fromkeys(("big5hkscs", "big5hkscs2004", "big5eten", "euctw"), "big5hkscs"),
    **dict.fromkeys(("uhc", "ksc5601", "ksx1001"), "cp949"),
    **dict.fromkeys(("utf7", "unicode11utf7", "csunicode11utf7"), "utf-7"),
    **dict.fromkeys(("utf32", "utf32le", "ucs4le"), "utf-32-le"),
    **dict.fromkeys(("utf32be", "ucs4", "iso10646ucs4", "ucs4be"), "utf-32-be"),
    **dict.fromkeys(("utf8mb4", "utf8sig", "utf8bom", "utf8n"), _UTF_8),
    **dict.fromkeys(("latin9", "latin0"), "iso8859-15"),
    "latin7": "iso8859-13", "latin8": "iso8859-14", "latin10": "iso8859-16", "iso885911": "cp874", "tis620": "cp874",
    "macce": "mac-latin2", "maclatin2": "mac-latin2", "maccentraleurope": "mac-latin2", "macgreek": "mac-greek", "macturkish": "mac-turkish",
    "macroman": "mac-roman", "maccyrillic": "mac-cyrillic", "koi8t": "koi8-t", "kz1048": "kz1048", "ptcp154": "ptcp154", "johab": "johab",
    # These say that the text is English, or that its sender did not know.
    **dict.fromkeys(("ascii", "usascii", "ansix341968", "ansix341986", "iso646us", "iso646irv1991", "isoir6", "us", "csascii"), None),
    **dict.fromkeys(("cp367", "ibm367", "cp20127", "unknown8bit", "8bit", "7bit", "binary", "default", "none", "unknown"), None),
}  # fmt: skip
# `=` for a doubled `charset=`; what stands behind a separator is junk (`utf-8//TRANSLIT`, `utf-8; format`).
_WORD_OF_LABEL = re.compile(r"[^\s\"'`<>,;/=?*\\\x00-\x1f]+")
_MAX_LABEL_CHARS = 100

_SEVEN_BIT = frozenset({ISO_2022, "hz", "utf-7"})
_WIDE = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
# Two bytes a character, in which two or three letters of UTF-8 may pass for other ones.
_TWO_BYTES = frozenset({"cp932", EUC_JP, "gb18030", "big5hkscs", "cp949", "johab"}) | _WIDE
_LATIN = frozenset(
    {"cp1250", "cp1252", "cp1254", "cp1257", "mac-roman", "mac-latin2", "mac-turkish", "cp437", "cp850", "cp852", "cp857", "cp858"}
    | {f"iso8859-{n}" for n in (2, 3, 4, 10, 13, 14, 15, 16)}
)  # fmt: skip
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# What the detector may answer. Each more costs the others certainty; these are the sets in which mail without a label is known.
_CANDIDATES_FOR_LATIN = ("cp1252", "cp1250", "iso8859-2", "cp1254", "mac-roman", "cp850", "cp852", "cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949")  # fmt: skip
_CANDIDATES = (*_CANDIDATES_FOR_LATIN, "cp1251", "koi8-r", "koi8-u", "cp866", "iso8859-5", "cp1253", "iso8859-7", "cp1255", "cp1256", "iso8859-6", "cp874")  # fmt: skip
# A page of text. The detector takes half a millisecond for it; more of it made no answer better.
_SAMPLE_BYTES = 2_048
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
# What no text has that is one byte a letter.
_NO_TEXT = re.compile(rb"[\x00-\x08]")
# Characters that a set must read of a text for each byte that it cannot.
_MIN_GOOD_TO_BAD = 10
_C1 = re.compile(rb"[\x80-\x9f]")
# The beginning of a character of UTF-8 as no text in another character set ends.
_CUT_OFF = re.compile(rb"(?:[\xc2-\xc5\xd0\xd1]|[\xe0-\xef][\x80-\xbf]|\xf0[\x80-\xbf]{1,2})\Z")
# The letters and signs of western Europe in windows-1252, but those that are an umlaut or an accent in an older set.
_WESTERN_TEXT = re.compile(
    "(?:[ -~\\s\N{RIGHT SINGLE QUOTATION MARK}\N{EN DASH}€°ºÀ-ÏÑ-ÖØ-Üß-ïñ-öø-ü]|£(?![A-Za-z]))*"
)
# With fewer than three letters to go by, a detector only guesses.
_MIN_EVIDENCE = 3
_LETTER = re.compile(rb"[A-Za-z]")
_SURROGATE_PAIR = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def codec_of(label: str | None) -> str | None:
    """The codec that a label names: any of the WHATWG's Encoding Standard, in any spelling, and what else mail uses. None for
    an unknown one, and for `us-ascii`, which says nothing about bytes that are not ASCII."""
    return _codec_of(label[:_MAX_LABEL_CHARS]) if label else None


@lru_cache(maxsize=256)
def _codec_of(label: str) -> str | None:
    words = _WORD_OF_LABEL.findall(label)
    for name in (_collapse("".join(words)), *map(_collapse, words)):
        for spelling in (name, name.removeprefix("x"), name.removeprefix("cs")):
            if spelling in _CODECS:
                return _CODECS[spelling]
    return None


def decode_text(content: bytes, label: str | None) -> str:
    """Text in the character set that its bytes show it to be in; `label` is what its sender calls it."""
    return decode_as(content, choose_codec(content, label))


def choose_codec(content: bytes, label: str | None) -> str:
    """The codec by which a text is read: the first row of the table in docs/mail.md that fits."""
    marked = _by_marks(content)
    if marked is not None:
        return marked
    labelled = codec_of(label)
    if labelled in _WIDE and _looks_wide(content):
        return _in_order(content, labelled)
    is_ascii = content.isascii()
    good, bad = (0, 0) if is_ascii else _count(content, _UTF_8)
    if has_escapes(content) and _count(content, ISO_2022)[0] > good:
        return ISO_2022
    if is_ascii:
        return labelled if labelled in _SEVEN_BIT else _UTF_8
    if labelled is None or labelled == _UTF_8:
        is_cut_off = labelled is not None and _CUT_OFF.search(content[-3:]) is not None
        return _UTF_8 if good >= bad - is_cut_off else _detect(content)
    return _weigh(content, _in_order(content, labelled) if labelled in _WIDE else labelled, good, bad)


def _weigh(content: bytes, labelled: str, good: int, bad: int) -> str:
    """UTF-8, in which so many characters are good and bad, or what the label says, or neither."""
    own_good, own_bad = _count(content, labelled)
    is_possible = not _cannot_be(content, labelled)
    if own_bad == 0 and is_possible:
        needed = 3 if labelled in _TWO_BYTES and not _has_mixed_words(_sample(content)) else 1
        return _UTF_8 if good >= max(needed, 4 * bad) else labelled
    if good >= bad:
        return _UTF_8
    return labelled if own_good >= own_bad and is_possible else _detect(content)


def _looks_wide(content: bytes) -> bool:
    """Whether a text that is said to be UTF-16 or UTF-32 is no ASCII: the high bytes of characters are few different ones."""
    first, second = _different_bytes(content)
    return _NO_TEXT.search(content) is not None or 2 * min(first, second) <= max(first, second)


def _in_order(content: bytes, labelled: str) -> str:
    """UTF-16 without a mark, in the order of bytes that it has."""
    first, second = _different_bytes(content)
    if first == second or labelled.startswith("utf-32"):
        return labelled
    return "utf-16-be" if first < second else "utf-16-le"


def _different_bytes(content: bytes) -> tuple[int, int]:
    """How many different bytes stand in the first, and in the second place of two."""
    return len(set(content[:_SAMPLE_BYTES:2])), len(set(content[1:_SAMPLE_BYTES:2]))


def _by_marks(content: bytes) -> str | None:
    """By the mark at its beginning, or by NUL bytes, which only these have in every second or three of four places."""
    for mark, codec in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return codec
    if len(content) < 4 or content.count(0) * 3 < len(content):
        return None
    head = content[:_SAMPLE_BYTES]
    # A character of UTF-32 has its NULs in the high places: three of four for what stands in mail.
    places = [head[place::4].count(0) for place in range(4)]
    quarter = len(head) / 4
    if min(places[1:]) > 0.4 * quarter:
        return "utf-32-le" if places[3] >= quarter * 0.9 and places[0] < places[3] else None
    if min(places[:2]) > 0.9 * quarter:
        return "utf-32-be"
    high_first, high_last = places[0] + places[2], places[1] + places[3]
    return "utf-16-be" if high_first > 2 * high_last else "utf-16-le" if high_last > 2 * high_first else None


def _count(content: bytes, codec: str) -> tuple[int, int]:
    """How many characters beyond ASCII a codec can read, and how many it cannot."""
    text = decode_as(content, codec)
    bad = text.count(REPLACEMENT)
    if codec == _UTF_8:
        bad -= content.count(REPLACEMENT.encode())  # some mail has lost a character on its way here
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    return max(0, beyond_ascii - bad), bad


def decode_as(content: bytes, codec: str) -> str:
    """Text by a codec that `choose_codec` has chosen."""
    match codec:
        case "utf-8":
            return _SURROGATE_PAIR.sub(_join_surrogates, content).decode(codec, "replace")
        case "iso-2022":
            return decode_iso_2022(content)
        case "euc-jp":
            return decode_euc_jp(content)
        case "utf-7":
            # The one codec that makes halves of characters, which no database takes.
            return _SURROGATE.sub(REPLACEMENT, content.decode(codec, "replace"))
        case _:
            return content.decode(codec, "replace")


def _join_surrogates(pair: re.Match[bytes]) -> bytes:
    # Java and old databases write characters beyond the first 65,536 so (Unicode Technical Report 26).
    return (
        pair.group()
        .decode("utf-8", "surrogatepass")
        .encode("utf-16", "surrogatepass")
        .decode("utf-16")
        .encode()
    )


def _cannot_be(content: bytes, codec: str) -> bool:
    """Whether a text is not what its label says, though each of its bytes means something there."""
    if codec.startswith("iso8859") and _C1.search(content) is not None:
        return True  # Windows' sets have letters and quotation marks where ISO 8859 has control characters
    runs = _HIGH_RUN.findall(_sample(content)) if codec in _LATIN else []
    # No language of Latin letters has most of its letters beyond ASCII three or more together. A line of one sign is an ornament.
    long = sum(len(run) for run in runs if len(run) >= 3 and len(set(run)) > 1)
    return 2 * long > sum(map(len, runs))


def _detect(content: bytes) -> str:
    sample = _sample(content)
    is_hardly_any = sum(map(len, _HIGH_RUN.findall(sample))) < _MIN_EVIDENCE
    if is_hardly_any and _WESTERN_TEXT.fullmatch(sample.decode(_WESTERN, "replace")) is not None:
        return _WESTERN
    # Without this, the detector took some French and Italian for Russian.
    candidates = _CANDIDATES_FOR_LATIN if _has_mixed_words(sample) else _CANDIDATES
    # The detector knows no set that one byte of the text is not valid in: so each set is also asked without its wrong bytes.
    found = [_guess(sample, candidates)]
    for mended in {
        mended for codec in candidates if (mended := _without_bad_bytes(sample, codec)) is not None
    }:
        found.append(_guess(mended, candidates))
    codec = max(found)[1]
    return EUC_JP if codec == "euc_jis_2004" else codec


def _guess(sample: bytes, candidates: tuple[str, ...]) -> tuple[float, str]:
    found = chardet.detect(sample, include_encodings=candidates, compat_names=False)
    return (found["confidence"], found["encoding"]) if found["encoding"] is not None else (0.0, _WESTERN)


def _without_bad_bytes(sample: bytes, codec: str) -> bytes | None:
    """The sample without the few bytes that mean nothing in this set; None if there are none, or many."""
    text = sample.decode(codec, "replace")
    bad = text.count(REPLACEMENT)
    if not bad or len(text) - len(text.encode("ascii", "ignore")) < _MIN_GOOD_TO_BAD * bad:
        return None
    return sample.decode(codec, "ignore").encode(codec, "ignore")


def _has_mixed_words(sample: bytes) -> bool:
    """Whether most bytes beyond ASCII stand beside letters of ASCII: words of both kinds of letters are of a Latin script."""
    runs = list(_HIGH_RUN.finditer(sample))
    beside = sum(
        _LETTER.match(sample, run.end()) is not None
        or _LETTER.match(sample, max(0, run.start() - 1)) is not None
        for run in runs
    )
    return 2 * beside >= len(runs)


def _sample(content: bytes) -> bytes:
    """The first page of what is not ASCII, not cut inside a character if that can be told."""
    first = _HIGH.search(content)
    start = max(0, first.start() - 100) if first is not None else 0
    sample = content[start : start + _SAMPLE_BYTES]
    if len(sample) < _SAMPLE_BYTES:
        return sample
    return sample.rpartition(b"\n")[0] or sample.rpartition(b" ")[0] or sample
