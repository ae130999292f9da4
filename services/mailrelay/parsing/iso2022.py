"""ISO 2022 as mail uses it: Japanese, Korean and Chinese in seven bits, by escape sequences; and EUC-JP, the same tables in eight.

Python's codecs know the tables of the standards alone. What Microsoft's programs write as well (NEC's row 13 with ①, IBM's
kanji, half-width kana: code pages 50220 and 51932) stands in code page 932, so each pair of bytes is looked up there.
"""

import re
from collections.abc import Iterator
from functools import cache

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# What designates a table of two bytes a character (RFC 1468, 1554, 1557, 1922; JIS X 0213), or half-width kana: no other text
# holds these.
_DESIGNATES = re.compile(rb"\x1b(?:\$[@AB]|\$\([@A-DOPQ]|\$\)[AC]|\(I)")
_CONTROL = re.compile(rb"\x1b(\$\(?[@A-DOPQ]|\$\)[AC]|\([BHIJ])|([\x0e\x0f])")
_PAIRS = re.compile(rb"[\x21-\x7e]+|[^\x21-\x7e]+")
_EUC_JP = re.compile(
    rb"(?P<ascii>[\x00-\x7f]+)|(?P<jis>(?:[\xa1-\xfe]{2})+)|\x8e(?P<kana>[\xa1-\xdf])|(?P<jis0212>\x8f[\xa1-\xfe]{2})|."
    rb"",
    re.DOTALL,
)
_TO_8_BIT = bytes(byte | 0x80 for byte in range(256))
_TO_7_BIT = bytes(byte & 0x7F for byte in range(256))
_ROMAN = str.maketrans("\\~", "\N{YEN SIGN}\N{OVERLINE}")
# Designation → Python's codec that has the table in eight bits, with what it wants before each pair.
_CODECS = {
    b"$A": ("gb18030", b""),
    b"$(A": ("gb18030", b""),
    b"$)A": ("gb18030", b""),
    b"$(C": ("cp949", b""),
    b"$)C": ("cp949", b""),
    b"$(D": ("euc_jp", b"\x8f"),
    b"$(O": ("euc_jis_2004", b""),
    b"$(Q": ("euc_jis_2004", b""),
    b"$(P": ("euc_jis_2004", b"\x8f"),
}


def has_escapes(content: bytes) -> bool:
    """Whether the text changes to a table of ISO 2022 somewhere."""
    return _DESIGNATES.search(content) is not None


def decode_iso_2022(content: bytes) -> str:
    """Text with escape sequences of ISO-2022-JP (also -1, -2, -3, -2004 and Microsoft's), -KR or -CN."""
    return "".join(_decode_runs(content))


def _decode_runs(content: bytes) -> Iterator[str]:
    first, second, is_shifted = b"(B", b"", False
    position = 0
    for control in _CONTROL.finditer(content):
        yield _decode_run(content[position : control.start()], second if is_shifted else first)
        position = control.end()
        designation, shift = control.groups()
        if shift is not None:
            is_shifted = shift == b"\x0e"
        elif designation.startswith(b"$)"):
            second = designation
        else:
            first = designation
    yield _decode_run(content[position:], second if is_shifted else first)


def _decode_run(run: bytes, designation: bytes) -> str:
    match designation:
        case b"(J":
            return run.decode("ascii", "replace").translate(_ROMAN)
        case b"(I":
            return "".join(chr(0xFF40 + byte) if 0x21 <= byte <= 0x5F else chr(byte & 0x7F) for byte in run)
        case _ if designation.startswith(b"$"):
            return "".join(_decode_pairs(piece, designation) for piece in _PAIRS.findall(run))
        case _:
            return run.decode("ascii", "replace")


def _decode_pairs(piece: bytes, designation: bytes) -> str:
    if not 0x21 <= piece[0] <= 0x7E:
        return piece.decode("ascii", "replace")  # blanks and line ends are the same in all tables
    if designation in _CODECS:
        codec, prefix = _CODECS[designation]
        pairs = piece.translate(_TO_8_BIT)
        return b"".join(prefix + pairs[at : at + 2] for at in range(0, len(pairs), 2)).decode(
            codec, "replace"
        )
    return _decode_jis(piece)


def decode_euc_jp(content: bytes) -> str:
    """Text in EUC-JP, with what Microsoft's code page 51932 holds beyond the standard."""
    return "".join(_decode_euc_jp(content))


def _decode_euc_jp(content: bytes) -> Iterator[str]:
    for match in _EUC_JP.finditer(content):
        match match.lastgroup:
            case "ascii":
                yield match.group().decode("ascii")
            case "jis":
                yield _decode_jis(match.group().translate(_TO_7_BIT))
            case "kana":
                yield chr(0xFEC0 + match.group("kana")[0])
            case "jis0212":
                yield match.group().decode("euc_jp", "replace")
            case _:
                yield REPLACEMENT


def _decode_jis(piece: bytes) -> str:
    table = _jis_table()
    return "".join(table.get(piece[at : at + 2], REPLACEMENT) for at in range(0, len(piece), 2))


@cache
def _jis_table() -> dict[bytes, str]:
    """Each pair of bytes of JIS X 0208 with the extensions of code page 932."""
    table = {}
    for row in range(0x21, 0x7F):
        for cell in range(0x21, 0x7F):
            lead = (row + 1 >> 1) + (0x70 if row < 0x5F else 0xB0)
            trail = cell + (0x7E if row % 2 == 0 else 0x1F if cell < 0x60 else 0x20)
            character = bytes((lead, trail)).decode("cp932", "ignore")
            if len(character) == 1:
                table[bytes((row, cell))] = character
    return table
