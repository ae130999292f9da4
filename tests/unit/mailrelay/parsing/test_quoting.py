"""What a buyer's mail program has put below their words is taken off; nothing that they may have written themselves ever is.

`tests/mails/quoted_history.toml` holds what the programs write in each language, this file the shapes in which they write it.
"""

import tomllib
from collections.abc import Callable
from html import escape
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailrelay.parsing.patterns import WORDING
from services.mailrelay.parsing.quoting import split_history, without_quotes
from services.mailrelay.parsing.safe_html import make_safe
from tests.cases import every_case

LANGUAGES = tomllib.loads(
    (Path(__file__).parents[3] / "mails" / "quoted_history.toml").read_text(encoding="utf-8")
)
NAME, ADDRESS = "Lampen Licht - Amazon Marketplace", "xk39dkq2+4d5e@marketplace.amazon.de"
MAIL = "Hello 4711,\n\nwe send another one:\nlamp, red.\n\nLampen Licht"
MARKED = "\n".join(f"> {line}".rstrip() for line in MAIL.split("\n"))


class Words:
    """What programs write in one language, filled in."""

    def __init__(self, language: str) -> None:
        self._words = LANGUAGES[language]
        self.labels: list[str] = self._words["labels"]

    def __getitem__(self, name: str) -> str:
        return str(self._words[name]).format(name=NAME, address=ADDRESS)

    def header(self, order: str = "from sent to subject", *, bold: bool = False, gap: str = "\n") -> str:
        sender, sent, to, subject = self.labels
        values = {
            "from": (sender, f"{NAME} <{ADDRESS}>"),
            "sent": (sent, self["date"]),
            "date": (self["date_label"], "2026-11-02T10:00:00+0100"),
            "to": (to, "kim@mail.example"),
            "cc": ("Cc", ""),
            "subject": (subject, "Ihre Anfrage: 4711"),
        }
        mark = "*" if bold else ""
        return gap.join(f"{mark}{label}:{mark} {value}".rstrip() for label, value in map(values.__getitem__, order.split()))  # fmt: skip


def wrapped(introduction: str) -> str:
    """As programs break a long line: before the address, and within its angles."""
    return introduction.replace(" <", "\n<\n", 1) if " <" in introduction else introduction


# Program → what it puts below the words.
PROGRAMS: dict[str, Callable[[Words], str]] = {
    "iPhone": lambda w: "\n".join(f"> {line}".rstrip() for line in f"{w['apple']}\n\n{MAIL}".split("\n")),
    "iPhone, older": lambda w: f"{w['apple']}\n\n{MARKED}",
    "Apple Mail, with marks around the name": lambda w: f"> {w['apple'].replace(NAME, chr(0x2068) + NAME + chr(0x2069))}\n>\n{MARKED}",
    "Gmail": lambda w: f"{w['gmail']}\n\n{MARKED}",
    "Gmail, broken": lambda w: f"{wrapped(w['gmail'])}\n\n{MARKED}",
    "Gmail on a phone": lambda w: f"{w['gmail_app']}\n\n{MARKED}",
    "Gmail, older": lambda _: f"2026-11-02 10:00 GMT+01:00 {NAME} <{ADDRESS}>:\n\n{MARKED}",
    "Gmail, oldest": lambda _: f"2026/11/2 {NAME} <{ADDRESS}>\n\n{MARKED}",
    "Yandex": lambda _: f'02.11.2026, 10:00, "{NAME}" <{ADDRESS}>:\n{MARKED}',
    "Thunderbird": lambda w: f"{w['thunderbird']}\n{MARKED}",
    "Thunderbird, deeper": lambda w: f"{w['thunderbird']}\n> {w['thunderbird']}\n>> old\n>\n{MARKED}",
    "Thunderbird and a footer": lambda w: f"{w['thunderbird']}\n{MARKED}\n\n--\n{w['footer']}",
    "Thunderbird and an advertisement": lambda w: f"{w['gmail']}\n{MARKED}\n\n{'_' * 40}\n{w['footer']}\n\nhttps://www.avast.com/x",
    "Yahoo": lambda w: f"    {w['yahoo']}\n\n{MAIL}",
    "Yahoo, marked": lambda w: f" {w['yahoo']}\n {MARKED.replace(chr(10), chr(10) + ' ')}",
    "Yahoo, older": lambda w: f"----- {w['separator']} -----\n{w.header('from to cc sent subject')}\n\n{MAIL}",
    "Proton": lambda w: f"------- {w['separator']} -------\n{w['yahoo']}\n\n{MARKED}",
    "Outlook": lambda w: f"{w.header()}\n\n{MAIL}",
    "Outlook, with copies": lambda w: f"{w.header('from sent to cc subject')}\n\n{MAIL}",
    "Outlook, older": lambda w: f"-----{w['separator']}-----\n{w.header()}\n\n{MAIL}",
    "Outlook on the web": lambda w: f"{'_' * 32}\n{w.header()}\n\n{MAIL}",
    "Outlook on a phone": lambda w: f"{'_' * 32}\n{w.header('from date to subject')}\n\n{MAIL}",
    "Outlook, bold": lambda w: f"{w.header(bold=True)}\n\n{MAIL}",
    "Outlook, an empty line after each": lambda w: w.header(gap="\n\n") + f"\n\n{MAIL}",
    "Outlook, names only": lambda w: f"{w.header().replace(f' <{ADDRESS}>', '').replace('kim@mail.example', 'Kim')}\n\n{MAIL}",
    "Outlook, many recipients": lambda w: f"{w.header('from sent to').replace('kim@', 'a@mail.example; b@mail.example;{n}kim@').format(n=chr(10))}\n{w.header('subject')}\n\n{MAIL}",
    "GMX": lambda w: f"{w.header('sent from to subject')}\n\n{MAIL}",
    "GMX, after blanks": lambda w: f"\u00a0\n\n{w.header('sent from to subject')}\n\n{MAIL}",
    "T-Online": lambda w: f"-----{w['separator']}-----\n{w.header('subject date from to')}\n\n{MAIL}",
    "Samsung": lambda w: f"-------- {w['separator']} --------\n{w.header('from date to subject')}\n\n{MAIL}",
    "header and marks": lambda w: f"{w.header()}\n\n{MARKED}",
    "header within marks": lambda w: f"> {w.header().replace(chr(10), chr(10) + '> ')}\n>\n{MARKED}",
}  # fmt: skip


def test_all_twelve_languages_are_there():
    assert LANGUAGES.keys() == {"ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "sv", "tr"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_program_puts_below_the_words_is_taken_off(language: str):
    words = Words(language)
    with every_case() as case:
        for program, below in PROGRAMS.items():
            with case(program):
                quoted = below(words)
                for own in (
                    words["own"],
                    f"{words['own']}\n\n{words['phone']}",
                    f"{words['own']}\n\nKim\n--\nKim Muster\n+49 30 4711",
                ):
                    text = f"{own}\n\n{quoted}"

                    assert split_history(text, WORDING) == (own, quoted.strip())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_signature_below_the_quote_stays_with_the_words(language: str):
    words = Words(language)
    quoted = f"{words['gmail']}\n{MARKED}"

    assert split_history(f"{words['own']}\n\n{quoted}\n\n--\nKim\n+49 30 4711", WORDING) == (
        f"{words['own']}\n\n--\nKim\n+49 30 4711",
        quoted,
    )


@pytest.mark.parametrize(
    "introduction",
    [
        "Am 02.11.26, 10:00, {name} <{address}> schrieb:",
        "Am Montag, den 02.11.2026, 10:00 +0100 schrieb {name}:",
        "Am 2026-11-02 10:00, schrieb {name}:",
        "{name} <{address}> hat am 02.11.2026 10:00 CET geschrieben:",
        "{name} <{address}> schrieb am 10:00 Montag, 2.November 2026:",
        "On Mon, 2026-11-02 at 10:00 +0100, {name} wrote:",
        "On 02/11/2026 10:00 CET {name} <{address}> wrote:",
        "--- On Mon, 11/2/26, {name} <{address}> wrote:",
        "At 10:00 AM 11/2/2026, {name} wrote:",
        "Le 2 nov. 2026 à 10 h 00, {name} <{address}> a écrit :",
        "En lunes, 2 de noviembre de 2026, 10:00:00 CET, {name} <{address}> escribió:",
        "In data lunedì 2 novembre 2026 10:00:00 CET, {name} <{address}> ha scritto:",
        "Op 2 nov. 2026 om 10:00 heeft {name} <{address}> geschreven:",
        "{name} schreef op 2-11-2026 om 10:00:",
        "Dnia 2 listopada 2026 10:00 {name} <{address}> napisał(a):",
        "Em 2 de nov. de 2026, à(s) 10:00, {name} <{address}> escreveu:",
        "{name} skrev den 2026-11-02 10:00:",
        "{name}, 02.11.2026 10:00 tarihinde yazdı:",  # noqa: RUF001 - Turkish
        "{name} さんは 2026/11/02 10:00 に書きました:",
        "2026/11/02 10:00\u3001{name}<{address}>のメール\uff1a",
        "في 02\u200f/11\u200f/26 10:00، كتب {name}:",
    ],
)  # fmt: skip
def test_other_introductions_are_known(introduction: str):
    quoted = f"{introduction.format(name=NAME, address=ADDRESS)}\n{MARKED}"

    assert split_history(f"Danke.\n\n{quoted}", WORDING) == ("Danke.", quoted)


@pytest.mark.parametrize(
    "quoted",
    [
        f"> Message du 02/11/26 10:00\n> De : {NAME} <{ADDRESS}>\n> A : kim@mail.example\n> Objet : 4711\n>\n> Bonjour",
        f"----Messaggio originale----\nDa: {ADDRESS}\nData: 02/11/2026 10.00\nA: <kim@mail.example>\nOgg: 4711\n\nBuongiorno",
        f"----- Mail original -----\nDe: {NAME} <{ADDRESS}>\nÀ: kim@mail.example\nEnvoyé: Lundi 2 Novembre 2026 10:00:00\nObjet: 4711\n\nBonjour",
        f"----Origineel Bericht----\nVan : {ADDRESS}\nDatum : 02/11/2026 10:00\nAan : kim@mail.example\nOnderwerp : 4711\n\nHallo",
        f"Date: Mon, 2 Nov 2026 10:00:00 +0100\nFrom: {ADDRESS}\nTo: kim@mail.example\nSubject: 4711\n\nHello",
        f"> Date: Mon, 2 Nov 2026 10:00:00 +0100\n> From: {ADDRESS}\n> To: kim@mail.example\n> Subject: 4711\n>\n> Hello",
        f"From: {NAME} [mailto:{ADDRESS}]\nSent: Monday, November 02, 2026 10:00 AM\nTo: Kim\nSubject: RE: 4711\n\nHello",
        f"Od: {NAME} <{ADDRESS}>\nDo: kim@mail.example;\nWysłane: 10:00 Poniedziałek 2026-11-02\nTemat: 4711\n\nWitam",
        f"De: {NAME} <{ADDRESS}>\nEnviada: 2026/11/02 10:00:00\nPara: kim@mail.example\nAssunto: 4711\n\nOlá",
        f"Gesendet von Mail für Windows 10\n\nVon: {NAME}\nGesendet: Montag, 2. November 2026 10:00\nAn: Kim\nBetreff: 4711\n\nHallo".partition("\n\n")[2],
    ],
)  # fmt: skip
def test_other_headers_are_known(quoted: str):
    assert split_history(f"Danke.\n\n{quoted}", WORDING) == ("Danke.", quoted)


# What a buyer does → their text, in which every word may be theirs.
OWN: dict[str, Callable[[Words], str]] = {
    "answers below": lambda w: f"{w['own']}\n\n{w['gmail']}\n{MARKED}\n\n{w['own']}",
    "answers below, on a phone": lambda w: f"{w['own']}\n\n> {w['apple']}\n>\n{MARKED}\n\n{w['own']}",
    "answers below only": lambda w: f"{w['gmail']}\n{MARKED}\n\n{w['own']}",
    "answers below a header": lambda w: f"{w.header()}\n\n{MAIL}\n\n{w['own']}",
    "answers between the lines": lambda w: f"{w['gmail']}\n> Wie viele?\n\n{w['own']}\n\n> Wohin?\n\n{w['own']}",
    "answers between the lines, after a word": lambda w: f"{w['own']}\n{w['gmail']}\n> Wie viele?\n{w['own']}\n> Wohin?\n",
    "answers between the lines on a phone": lambda w: f"{w['own']}\n\n> {w['apple']}\n>\n> Wie viele?\n\n{w['own']}\n\n> Wohin?",
    "answers between the lines below a header": lambda w: f"{w['own']}\n\n{w.header()}\n\n> Wie viele?\n\n{w['own']}",
    "writes on below a footer": lambda w: f"{w['own']}\n\n{w['gmail']}\n{MARKED}\n\n{w['footer']}\n\n{w['own']}",
    "passes a mail on": lambda w: f"{w['own']}\n\n---------- {w['forwarded']} ----------\n{w.header()}\n\n{MAIL}",
    "passes a mail on and writes below": lambda w: f"---------- {w['forwarded']} ----------\n{w.header()}\n\n{MAIL}\n\n{w['own']}",
    "passes a mail on, marked": lambda w: f"{w['own']}\n\n{w['forwarded']}:\n\n> {w.header().replace(chr(10), chr(10) + '> ')}\n>\n{MARKED}",
    "announces a mail": lambda w: f"{w['own'].rstrip('.。')}:\n\n{w.header()}\n\n{MAIL}\n\n{w['own']}",
    "announces a mail that is introduced": lambda w: f"{w['own'].rstrip('.。')}:\n\n{w['yahoo']}\n\n{MAIL}\n\n{w['own']}",
    "greets and shows a mail": lambda w: f"Robin,\n\n{w.header()}\n\n{MAIL}\n\n{w['own']}",
    "shows an order's mail": lambda w: f"{w['own']}\n\n{w.header().replace(ADDRESS, 'bestellbestaetigung@amazon.de')}\n\n{MAIL}\n\n{w['own']}",
    "shows a machine's mail": lambda w: f"{w['own']}\n\n{w.header().replace(ADDRESS, 'no-reply@parcels.example')}\n\n{MAIL}\n\n{w['own']}",
    "has nothing below a header": lambda w: f"{w['own']}\n\n{w.header()}",
    "lists labels": lambda w: w["own"] + "".join(f"\n{label}: Hamburg" for label in w.labels),
    "lists labels with a day": lambda w: f"{w['own']}\n\n{w.header('from to').replace(f'{NAME} <{ADDRESS}>', 'Hamburg').replace('kim@mail.example', 'Berlin')}\n{w.header('subject')}\n\n{w['own']}",
    "tells what was written, with no day": lambda w: f"{w['own']}\n\n{NAME}:\n{MARKED}",
    "quotes without an introduction": lambda w: f"{w['own']}\n\n{MARKED}",
    "writes nothing": lambda w: f"{w['gmail']}\n{MARKED}",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_buyer_may_have_written_is_never_taken_off(language: str):
    words = Words(language)
    with every_case() as case:
        for name, written in OWN.items():
            with case(name):
                text = written(words)

                assert split_history(text, WORDING) == (text, None)


@pytest.mark.parametrize(
    "text",
    [
        "Am Montag schrieb ich Ihnen:\n> Bitte Größe L",
        "Danke!\n\nAm Montag schrieb ich Ihnen:\n> Bitte Größe L",
        "Danke!\n\nAm 2.11.2026 um 10:00 Uhr schrieb ich Ihnen:\n> Bitte Größe L",
        "Danke!\n\nAm 2.11.2026 um 10:00 Uhr schrieb mir Ihre Kollegin:\n> Wir schicken Ersatz.",
        "Danke!\n\nAm 2.11. schrieb der Bote:\n> Niemand da",
        "Danke!\n\nAm 2.11.2026 schrieb der Bote:\n> Niemand da",
        "Thanks!\n\nOn Monday I wrote:\n> size L please",
        "Thanks!\n\nOn Nov 2, 2026 at 10:00 you wrote:\n> we will send another one",
        "Thanks!\n\nOn the box someone wrote:\n> fragile",
        "Thanks!\n\nOn 2 November at 10:00 I wrote to shop@shop.example:\n\nsize L please\n\nNo answer.",
        "Merci.\n\nLe 2 nov. 2026 à 10:00 vous m'avez écrit :\n> bonjour",
        "Merci.\n\nLe 2/11/2026 à 10:00, je vous ai écrit :\n> bonjour",
        "Gracias.\n\nEl 2/11/2026 a las 10:00 usted me escribió:\n> hola",
        "Grazie.\n\nIl 2/11/2026 alle 10:00 mi ha scritto:\n> ciao",
        "Bedankt.\n\nOp 2-11-2026 om 10:00 schreef ik u:\n> hallo",
        "Dziękuję.\n\nW dniu 2.11.2026 o 10:00 Pan napisał:\n> cześć",
        "Obrigado.\n\nEm 2/11/2026 às 10:00 você escreveu:\n> olá",
        "Tack.\n\nDen 2/11 2026 kl. 10:00 skrev jag till er:\n> hej",
        "Teşekkürler.\n\n2.11.2026 10:00 tarihinde bana yazdı:\n> merhaba",  # noqa: RUF001 - Turkish
        "Danke!\n\nAm 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n> Wie?\n\nVirenscanner meldet Ihren Anhang!",
        "Danke!\n\nAm 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n> Wie?\n\nDiese E-Mail wurde mir zurückgeschickt.",
        "Danke!\n\nAm 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n> Wie?\n\nVirenfrei. www.avast.com\nUnd wo bleibt sie?",
        "Danke!\n\n2 Lampen, bestellt am 2.11.2026 um 10:00 <siehe Foto>:\n> eine kaputt",
        'Danke für die Antwort.\n\nAm 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n\n"Wir schicken Ersatz."\n\nDas ist zwei Wochen her!',
        "Hallo,\n\nVon: Hamburg\nNach: Berlin\nDatum: 3.11.2026\n\nWann kommt es?",
        "Hallo\n\nVon: Hamburg\nAn: Berlin\nDatum: 3.11.2026\nBetreff: Lieferung\n\nWann kommt es?",
        "Hallo\n\nVon: Hamburg\nAn: Berlin\nGesendet: gestern um 10:00\nBetreff: Lieferung\n\nWann kommt es?",
        "Hallo\n\nAn: alle\nBetreff: die Lampe\n\nWann kommt sie?",
        "Hallo\n\nVon: Kim Muster, kim@mail.example\nBetreff: die Lampe\n\nWann kommt sie?",
        "Hi\n\nFrom: London\nTo: Leeds\nSubject: my parcel\nDate: Monday\n\nWhere is it?",
        "Hi\n\nFrom: the box\nSent: 2 pieces\nTo: me\nSubject to change: no\n\nOk?",
        "Hi\n\nName: Kim\nDate: 2 Nov 2026 10:00\nSubject: lamp\nTo: kim@mail.example\n\nOk?",
        "Salut\n\nDe : Paris\nÀ : Lyon\nObjet : lampe\n\nMerci",
        "Ciao\n\nDa: Roma\nA: Milano\nData: 2/11/2026\n\nGrazie",
        "Hej\n\nFrån: Lund\nTill: Malmö\nDatum: 2026-11-02\n\nTack",
        "Maße:\n> 30 cm breit\n> 20 cm hoch",
        "x > 5 und y < 3, also\n> 8 insgesamt",
        "Temperatur um 10:00:\n> 30 Grad\num 11:00:\n> 35 Grad",
        "Um 10:00:\nda war sie noch ganz.\nUm 11:00:\nda nicht mehr.",
        "Bestellt 2026-11-02 10:00:\nLampe\n\nBekommen:\nBirne",
        "Bestellt am 2.11.2026 um 10:00 von kim@mail.example:\n\nLampe, rot\n\nBekommen habe ich eine blaue.",
        "2026-11-02 10:00 bestellt <rot>:\n\nbekommen: blau",
        "-----\nMuster\n-----\n\nVon: Kim",
        "Danke\n________________________________\nKim Muster\nMusterweg 1",
        "Danke\n________________________________\nVon: Hamburg\nAn: Berlin",
        "----- Original Message -----",
        "Siehe\n\n----- Original Message -----\nvon Ihnen",
        "Meine Antworten stehen unten im Text.\n\nVon: Shop <a@shop.example>\nGesendet: Montag, 2. November 2026 10:00\nAn: kim@mail.example\nBetreff: Lampe\n\nWie viele?\nZwei!",
        "See my answers below\n\nFrom: Shop <a@shop.example>\nSent: Monday, November 2, 2026 10:00 AM\nTo: kim@mail.example\nSubject: Lamp\n\nHow many?\nTwo!",
        "Hallo,\n\nAm Montag, 2. November 2026 um 10:00 schrieb Shop <a@shop.example>:\n\nWir schicken Ersatz.\n\nDas ist nicht passiert!",
        "Sie schrieben mir:\n\nAm Montag, 2. November 2026 um 10:00 schrieb Shop <a@shop.example>:\n\nWir schicken Ersatz.\n\nDas ist nicht passiert!",
        "Danke. Am Montag, 2. November 2026 um 10:00 schrieb Shop <a@shop.example>:\n\nWir schicken Ersatz.\n\nDas ist nicht passiert!",
        "Danke!\nAm Montag, 2. November 2026 um 10:00 schrieb Shop <a@shop.example>:\n\nWir schicken Ersatz.\n\nDas ist nicht passiert!",
        "Danke!\n\nAm 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n> gern\n--\nviele Grüße\nund noch etwas?\n\nUnd noch etwas!".replace("--\n", ""),
        "",
        ">",
        ":",
        "> Am 2.11.2026 um 10:00 schrieb Shop <a@shop.example>:\n> gern",
    ],
)  # fmt: skip
def test_what_only_looks_like_history_stays(text: str):
    assert split_history(text, WORDING) == (text, None)


def test_a_closing_without_a_name_is_no_greeting():
    words = Words("en")
    quoted = f"{words.header()}\n\n{MAIL}"

    assert split_history(f"It works now.\n\nThanks,\n\n{quoted}", WORDING) == (
        "It works now.\n\nThanks,",
        quoted,
    )


def test_an_introduction_within_the_quote_may_be_broken():
    words = Words("de")
    quoted = "> " + wrapped(words["apple"]).replace("\n", "\n> ") + f"\n>\n{MARKED}"

    assert split_history(f"Danke.\n\n{quoted}", WORDING) == ("Danke.", quoted)


_PIECES = st.sampled_from(
    [
        "Danke.", "und noch etwas:", "Hallo,", "", ">", "> alt", ">> älter", "--", "www.avast.com", "_" * 32, "siehe unten",
        *(words[name] for words in map(Words, ("de", "fr", "ja")) for name in ("apple", "gmail", "yahoo", "thunderbird")),
        *(program(Words("en")) for program in PROGRAMS.values()),
    ]
)  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=30), max_size=14).map("\n".join))
def test_no_line_is_lost_or_said_twice(text: str):
    own, quoted = split_history(text, WORDING)

    def lines(text: str) -> list[str]:
        return sorted(filter(None, (line.strip() for line in text.split("\n"))))

    assert lines(f"{own}\n{quoted or ''}") == lines(text)
    # What has been taken off is taken off: nothing more goes the second time, but for a quote above a signature.
    assert quoted is None or own


def test_the_first_of_several_older_mails_begins_the_history():
    words = Words("de")
    history = f"{words.header()}\n\n{MAIL}\n\n{words['gmail']}\n{MARKED}"

    assert split_history(f"Danke.\n\n{history}", WORDING) == ("Danke.", history)


def test_answers_above_the_last_quote_stay_with_what_they_answer():
    words = Words("de")
    answered = f"Hallo\n\n{words['gmail']}\n> Wie viele?\n\nZwei."
    history = f"{words['thunderbird']}\n> Und wohin?"

    assert split_history(f"{answered}\n\n{history}", WORDING) == (answered, history)


def test_words_alone_are_left_when_quotes_are_left_out():
    words = Words("de")

    assert (
        without_quotes(f"Hallo\n{words['gmail']}\n> Wie viele?\nZwei.\n> a\n\n> b", WORDING)
        == "Hallo\nZwei.\n"
    )
    assert without_quotes("Maße:\n> 30 cm\nok", WORDING) == "Maße:\nok"


@pytest.mark.parametrize(
    "html",
    [
        "<p>Danke, so geht es.</p><div>{gmail}<br><blockquote class=gmail_quote>Hallo,<br><br>gern.</blockquote></div>",
        "<div>Danke, so geht es.</div><br><blockquote type=cite><div>{apple}<br><br></div>Hallo,<div>gern.</div></blockquote>",
        "<p>Danke, so geht es.</p><hr><div id=divRplyFwdMsg><b>Von:</b> Shop &lt;a@shop.example&gt;<br><b>Gesendet:</b> Montag, 2. November 2026 10:00<br><b>An:</b> Kim<br><b>Betreff:</b> Lampe</div><div>Hallo,<br>gern.</div>",
        "<p>Danke, so geht es.</p><div name=quote><div><b>Gesendet:</b>&nbsp;Montag, 02. November 2026 um 10:00 Uhr<br/><b>Von:</b>&nbsp;Shop &lt;a@shop.example&gt;<br/><b>An:</b>&nbsp;kim@mail.example<br/><b>Betreff:</b>&nbsp;Lampe</div><div>Hallo,</div></div>",
        "<p>Danke, so geht es.</p><br><div class=yahoo_quoted><div>{yahoo}</div><div><br></div><div>Hallo,</div></div>",
        "<p>Danke, so geht es.</p><div class=moz-cite-prefix>{thunderbird}<br></div><blockquote type=cite><p>Hallo,</p><blockquote><pre>alt\nund älter</pre></blockquote></blockquote>",
    ],
)  # fmt: skip
def test_history_in_html_is_known_by_its_text(html: str):
    words = Words("de")
    filled = html.format(**{name: escape(words[name]) for name in ("gmail", "apple", "yahoo", "thunderbird")})

    own, quoted = split_history(make_safe(filled).text, WORDING)

    assert own == "Danke, so geht es."
    assert "Hallo," in (quoted or "")


def test_what_is_quoted_in_html_has_marks_and_no_more_than_three():
    nested = "<blockquote>" * 5 + "tief" + "</blockquote>" * 5

    assert make_safe(f"<p>a</p><blockquote>b<br>c</blockquote>d{nested}").text == "a\n> b\n> c\nd\n> > > tief"


# Lines that come again and again, each of which looks like a beginning.
_GERMAN = Words("de")
TIRING = {
    "marked": "> a\n",
    "introductions": f"{_GERMAN['gmail']}\n",
    "introductions, standing alone": f"\n{_GERMAN['gmail']}\n> a\nb\n",
    "broken introductions": f"\n{wrapped(_GERMAN['gmail'])}\n",
    "almost introductions": "am 2.11.2026 10:00 schrieb a@b schrieb schrieb hat hat hat:\n",
    "headers": f"{_GERMAN.header()}\n> a\nb\n",
    "labels": "Von: a\n",
    "empty lines": "\n",
    "empty lines and colons": "\n\n\n:\n",
    "separators": "-----Original Message-----\n",
    "separators and empty lines": "-----Original Message-----\n\n\n\n",
    "rules": "_____________\n\n",
    "one line": "Am 2.11.2026 10:00 a@b schrieb ",
    "footers": "> a\n\nwww.avast.com\n\n",
}


@pytest.mark.parametrize("line", TIRING)
def test_time_grows_with_the_text_and_no_faster(line: str):
    def seconds(chars: int) -> float:
        text = f"{line * (chars // len(line))}"
        best = float("inf")
        for _ in range(3):
            start = process_time()
            split_history(text, WORDING)
            without_quotes(text, WORDING)
            best = min(best, process_time() - start)
        return best

    # Four times the text: four times the time, sixteen times if each line looked at all others.
    assert seconds(200_000) < 9 * seconds(50_000)
