# ruff: noqa: RUF001 - letters of many alphabets are what is tested
"""Which character set a text is read in: every row of the table in docs/mail.md, every label, every language that buyers write."""

import codecs
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from webencodings.labels import LABELS

from services.mailrelay.parsing.charsets import EUC_JP, ISO_2022, choose_codec, codec_of, decode_text
from services.mailrelay.parsing.iso2022 import decode_euc_jp, decode_iso_2022
from tests.cases import every_case

GERMAN = "Größe passt, schöne Grüße"
JAPANESE = "いつ届きますか。"
RUSSIAN = "Здравствуйте, где мой заказ?"
CHINESE = "我的包裹在哪里?"
CUT = "ü".encode()[:1]

# Bytes, label → the codec. One line for each row of docs/mail.md, in its order, and its neighbours.
ROWS = {
    "mark of UTF-8": (codecs.BOM_UTF8 + b"abc", "windows-1252", "utf-8-sig"),
    "mark of UTF-16": (GERMAN.encode("utf-16"), None, "utf-16"),
    "mark of UTF-32": (GERMAN.encode("utf-32"), "utf-8", "utf-32"),
    "NUL in every second place": (GERMAN.encode("utf-16-be"), "us-ascii", "utf-16-be"),
    "NUL in three of four places": (GERMAN.encode("utf-32-le"), None, "utf-32-le"),
    "wide label, wide bytes": (RUSSIAN.encode("utf-16-le"), "utf-16", "utf-16-le"),
    "wide label, its order wrong": (JAPANESE.encode("utf-16-be"), "utf-16le", "utf-16-be"),
    "wide label, ASCII": (b"Hello, where is it?", "utf-16", "utf-8"),
    "escapes, no label": (JAPANESE.encode("iso-2022-jp"), None, ISO_2022),
    "escapes, wrong label": (JAPANESE.encode("iso-2022-jp"), "utf-8", ISO_2022),
    "escapes, one bad byte": (JAPANESE.encode("iso-2022-jp") + b" \xff", "iso-2022-jp", ISO_2022),
    "escapes of Korean": ("언제".encode("iso2022_kr"), None, ISO_2022),
    "one escape in UTF-8": (GERMAN.encode() + b"\x1b$B!!\x1b(B", None, "utf-8"),
    "ASCII, label of seven bits": (b"Gr+APwA3w-e", "utf-7", "utf-7"),
    "ASCII, any other label": (b"Hello", "koi8-r", "utf-8"),
    "UTF-8, no label": (GERMAN.encode(), None, "utf-8"),
    "UTF-8, label windows-1252": (GERMAN.encode(), "windows-1252", "utf-8"),
    "UTF-8, label iso-2022-jp": (JAPANESE.encode(), "iso-2022-jp", "utf-8"),
    "UTF-8, label gb2312": (GERMAN.encode(), "gb2312", "utf-8"),
    "UTF-8 with a bad byte, label windows-1252": (GERMAN.encode() + b" b\xe1h", "windows-1252", "utf-8"),
    "valid under the label": (GERMAN.encode("cp1252"), "iso-8859-1", "cp1252"),
    "valid under the label, two bytes a letter": (CHINESE.encode("gb18030"), "gb2312", "gb18030"),
    "valid by accident as UTF-8": ("通".encode("gb18030"), "gb2312", "gb18030"),
    "mostly UTF-8, no label": (GERMAN.encode() + b" b\xe1h", None, "utf-8"),
    "mostly UTF-8, label utf-8": (JAPANESE.encode()[:-1], "utf-8", "utf-8"),
    "only a character that was cut off": (b"Ich m" + CUT, "utf-8", "utf-8"),
    "mostly valid under the label": (JAPANESE.encode("cp932") + b"\xff", "shift_jis", "cp932"),
    "label utf-8, Russian of old": (RUSSIAN.encode("cp1251"), "utf-8", "cp1251"),
    "label of the west, Russian of old": (RUSSIAN.encode("koi8-r"), "iso-8859-1", "koi8-r"),
    "label of the west, Japanese of old": (JAPANESE.encode("cp932"), "windows-1252", "cp932"),
    "label of ISO, letters of Windows": ("Žlutý šátek, „pěkný“".encode("cp1250"), "iso-8859-2", "cp1250"),
    "no label, of old": ("まだ商品が届いていません。".encode("euc_jp"), None, EUC_JP),
    "unknown label, of old": (RUSSIAN.encode("cp866"), "x-unknown", "cp866"),
    "hardly any evidence": (b"Jos\xe9 Mu\xf1oz", None, "cp1252"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_codec_is_chosen_by_row(row: str):
    content, label, codec = ROWS[row]

    assert choose_codec(content, label) == codec


def test_every_label_of_the_web_is_read():
    with every_case() as case:
        for label, encoding in LABELS.items():
            with case(label):
                codec = codec_of(label)

                says_nothing = (
                    encoding in {"replacement", "x-user-defined"} or "ascii" in label or "ansi_x3" in label
                )
                assert (codec is None) <= says_nothing
                assert codec is None or codec in {ISO_2022, EUC_JP} or codecs.lookup(codec).name == codec


POLISH = "Zażółć gęślą jaźń"
# Label → a text, and Python's codec of it: other spellings, and what mail has beyond the web.
LABELLED = [
    *[(label, POLISH, "iso8859-2") for label in ("iso8859-2", "latin2", "ISO-8859-2:1987", "ISO_8859-2", "iso 8859 2", "cp28592", "l2")],
    *[(label, POLISH, "cp1250") for label in ("x-cp1250", "cp-1250", "win-1250", "Windows 1250", "ms1250", "CP1250 ")],
    *[(label, "Größe", "cp850") for label in ("cp850", "ibm850", "IBM-850", "csIBM850", "dos-850")],
    *[(label, "Größe", "cp437") for label in ("cp437", "ibm437")],
    *[(label, "Größe", "mac-roman") for label in ("macintosh", "x-mac-roman", "mac", "MacRoman", "cp10000")],
    *[(label, "Größe ¿3×4?", "utf-7") for label in ("utf-7", "UNICODE-1-1-UTF-7", "cp65000")],
    *[(label, CHINESE, "hz") for label in ("hz-gb-2312", "hz", "HZ-GB")],
    *[(label, CHINESE, "gb18030") for label in ("x-gbk", "cp936", "windows-936", "gb_2312-80", "csGB2312", "GB2312", "gbk", "euc-cn", "iso-ir-58")],
    *[(label, "我的包裹在哪裡?", "big5hkscs") for label in ("big5-hkscs", "Big5", "x-x-big5", "cp950", "csBig5")],
    *[(label, JAPANESE, "euc_jp") for label in ("x-euc-jp", "EUC-JP", "eucJP-ms", "ujis", "cp51932")],
    *[(label, JAPANESE, "cp932") for label in ("x-sjis", "ms_kanji", "Shift_JIS", "shift-jis", "cp932", "Windows-31J", "sjis-win", "csShiftJIS")],
    *[(label, JAPANESE, "iso2022_jp") for label in ("iso-2022-jp-ms", "cp50220", "csISO2022JP", "ISO-2022-JP-1", "jis", "cp50222")],
    *[(label, "언제 받을 수 있나요?", "cp949") for label in ("ks_c_5601-1987", "euc-kr", "uhc", "windows-949", "csEUCKR", "korean")],
    *[(label, "언제 받을 수 있나요?", "iso2022_kr") for label in ("iso-2022-kr", "csISO2022KR")],
    *[(label, RUSSIAN, "koi8-r") for label in ("koi8r", "koi8-r", "koi", "cp20866")],
    *[(label, RUSSIAN, "cp1251") for label in ("cp-1251", "win-1251", "windows1251", "x-cp1251")],
    *[(label, GERMAN, "utf-32") for label in ("utf-32", "UTF32", "ucs-4")],
    *[(label, GERMAN, "utf-8") for label in ("utf8", "UTF_8", "utf8mb4", "x-unicode20utf8", "cp65001")],
    *[(label, "สวัสดีค่ะ", "cp874") for label in ("tis-620", "windows-874", "ISO-8859-11", "cp874")],
    *[(label, "Şule Ağaoğlu", "cp1254") for label in ("iso-8859-9", "latin5", "windows-1254")],
    *[(label, "„Größe“ – 5 €", "cp1252") for label in ("ISO-8859-1", "latin-1", "cp819", "iso_8859-1:1987", "l1")],
    *[(label, "5 € für Œuvres", "iso8859-15") for label in ("iso-8859-15", "latin-9", "csISOLatin9")],
]  # fmt: skip


def test_a_label_is_read_in_every_spelling():
    with every_case() as case:
        for label, text, codec in LABELLED:
            for spelling in (label, label.upper(), f' "{label}" ', f"'{label}'", f"charset={label}", f"{label}; format=flowed", f"{label},", f"<{label}>"):  # fmt: skip
                with case(spelling):
                    assert decode_text(text.encode(codec), spelling).lstrip("\ufeff") == text


@pytest.mark.parametrize(
    "label",
    [
        None,
        "",
        '""',
        "=",
        "x" * 500,
        "punycode",
        "rot13",
        "../../etc",
        "idna",
        "unknown-8bit",
        "utf-9",
        "\udcff",
    ],
)
def test_a_label_that_means_nothing_is_none(label: str | None):
    assert codec_of(label) is None
    assert decode_text(GERMAN.encode(), label) == GERMAN


# Language → what a buyer writes, and the character sets in which mail had it before UTF-8.
WEST, MIDDLE = ("cp1252",), ("cp1250", "iso8859-2")
LETTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "de": ("Guten Tag, die Lampe läuft nicht mehr. Können Sie mir bitte eine neue schicken? Schöne Grüße", WEST),
    "fr": ("Bonjour, le colis est arrivé abîmé. Pouvez-vous me rembourser s'il vous plaît ?", WEST),
    "es": ("Buenos días, ¿cuándo llegará mi pedido? Todavía no he recibido el número de envío.", WEST),
    "it": ("Buongiorno, il pacco non è ancora arrivato. Perché la spedizione è così lenta?", WEST),
    "nl": ("Goedendag, één van de twee lampen is stuk. Kunt u een nieuwe sturen?", WEST),
    "sv": ("Hej, paketet har inte kommit ännu. När får jag min beställning?", WEST),
    "da": ("Hej, pakken er ikke kommet endnu. Hvornår får jeg min ordre?", WEST),
    "pt": ("Olá, a encomenda ainda não chegou. Quando é que vou receber o meu pedido?", WEST),
    "pl": ("Dzień dobry, paczka jeszcze nie dotarła. Kiedy mogę się jej spodziewać?", MIDDLE),
    "cs": ("Dobrý den, balík ještě nedorazil. Kdy mohu očekávat zásilku?", MIDDLE),
    "tr": ("Merhaba, siparişim hâlâ gelmedi. Ne zaman ulaşır acaba?", ("cp1254",)),
    "ru": ("Здравствуйте, посылка ещё не пришла. Когда я получу свой заказ?", ("cp1251", "koi8-r", "cp866", "iso8859-5")),
    "ar": ("مرحبا، لم يصل الطرد بعد. متى سأستلم طلبي؟", ("cp1256", "iso8859-6")),
    "ja": ("こんにちは。まだ商品が届いていません。いつ発送されますか。", ("cp932", "euc_jp", "iso2022_jp")),
    "zh": ("您好,我的包裹还没有到。请问什么时候可以收到?", ("gb18030",)),
    "zh-TW": ("您好,我的包裹還沒有到。請問什麼時候可以收到?", ("big5hkscs",)),
    "ko": ("안녕하세요, 아직 상품이 도착하지 않았습니다. 언제 받을 수 있나요?", ("cp949", "iso2022_kr")),
}  # fmt: skip
LANGUAGES_IN_SETS = [(language, codec) for language, (_, sets) in LETTERS.items() for codec in sets]


@pytest.mark.parametrize("label", [None, "utf-8", "us-ascii", "x-unknown"])
@pytest.mark.parametrize(("language", "codec"), LANGUAGES_IN_SETS)
def test_a_letter_of_old_is_read_without_its_label(language: str, codec: str, label: str | None):
    text = LETTERS[language][0]
    framed = f"------------- Message: -------------\n\n{text}\n\n------------- End message -------------\n\nCopyright 2026 Amazon"

    assert decode_text(text.encode(codec), label) == text
    assert decode_text(framed.encode(codec), label) == framed


@pytest.mark.parametrize(
    "codec", ["cp1251", "koi8-r", "cp1256", "cp932", "euc_jp", "gb18030", "big5hkscs", "cp949"]
)
@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "iso-8859-15"])
def test_a_label_of_the_west_is_not_believed_of_other_scripts(codec: str, label: str):
    text = next(text for text, sets in LETTERS.values() if codec in sets)

    assert decode_text(text.encode(codec), label) == text


@pytest.mark.parametrize("language", LETTERS)
def test_utf_8_is_utf_8_whatever_its_label(language: str):
    text = LETTERS[language][0]
    with every_case() as case:
        for label in (None, "utf-8", *sorted({codec for _, sets in LETTERS.values() for codec in sets} - {"iso2022_kr"})):  # fmt: skip
            with case(label):
                assert decode_text(text.encode(), label) == text


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("language", "codec"), [*LANGUAGES_IN_SETS, *((language, "utf-8") for language in LETTERS)]
)
def test_one_bad_byte_costs_one_character(language: str, codec: str, labelled: bool):
    text = LETTERS[language][0]
    after = text.encode(codec) + b" \xff."

    shown = decode_text(after, codec if labelled else None)

    assert shown.replace("\ufffd", "").startswith(text)
    assert len(shown) <= len(text) + 3


@given(
    text=st.text(st.sampled_from("aé ßЯ語ع\n"), min_size=20, max_size=200),
    bad=st.sets(st.integers(0, 19), max_size=2),
)
@example(text="é語" * 10, bad={0, 1})
def test_utf_8_with_bad_bytes_is_only_broken_there(text: str, bad: set[int]):
    letters = [letter.encode() for letter in text]
    for place in bad:
        letters[place] = b"\xff"
    expected = "".join("\ufffd" if place in bad else letter for place, letter in enumerate(text))
    if len(text.encode("ascii", "ignore")) > len(text) - 8:
        return  # hardly a letter by which to know it

    assert decode_text(b"".join(letters), "utf-8") == expected


@given(
    content=st.binary(max_size=400),
    label=st.none()
    | st.text(max_size=12)
    | st.sampled_from([*sorted(LABELS), "utf-7", "hz", "utf-32", "cp850"]),
)
@example(content=b"+2AA-", label="utf-7")
@example(content=b"\xff\xfe\x00\xd8", label=None)
@example(content=b"\x1b$B\x7f!\x1b(I\xff\x1b$)C\x0e!\x1b(J\\~", label="iso-2022-jp")
@example(content=b"\x1b$(D!\x1b$(P!!!", label=None)
def test_any_bytes_with_any_label_are_text(content: bytes, label: str | None):
    text = decode_text(content, label)

    text.encode()
    # Big5 of Hong Kong has two characters for some pairs; nothing makes more.
    assert len(text) <= len(content)


@pytest.mark.parametrize("label", [None, "iso-2022-jp", "utf-8"])
def test_signs_of_japanese_windows_are_in_its_iso_2022(label: str | None):
    content = b'\x1b$B-!-"-j|by!\x1b(B \x1b(I1234\x1b(B \x1b(J\\5,000\x1b(B end'

    assert decode_text(content, label) == "①②㈱髙纊 ｱｲｳｴ ¥5,000 end"


def test_tables_of_iso_2022_beyond_japanese():
    assert decode_iso_2022(b"\x1b$)A\x0eNR5D\x0f.") == "我的."
    assert decode_iso_2022(b"\x1b$(C>p\x1b$A0|\x1b(B") == "언包"
    assert decode_iso_2022(b"\x1b$(D0!\x1b$(Q.!\x1b$(P!!\x1b(B") == "丂俱𠂉"
    assert decode_euc_jp(b"\xad\xa1\x8e\xb1\x8f\xb0\xa1\xa4\xa2\xff.") == "①ｱ丂あ\ufffd."


def test_a_second_line_of_japanese_needs_no_escape_of_its_own():
    assert decode_iso_2022(b'\x1b$B$"\r\n$$\x1b(B') == "あ\r\nい"


def test_a_text_that_is_cut_inside_of_a_character_keeps_the_others():
    for (language, (text, sets)), cut in product(LETTERS.items(), (1, 2)):
        if not text[-1].isascii():
            assert decode_text(text.encode()[:-cut], "utf-8").startswith(text[:-1]), (language, sets)
