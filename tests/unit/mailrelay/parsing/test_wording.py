"""The files in services/mailrelay/parsing/wording: each entry is needed by a mail, and a wrong one is told by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.mailrelay.parsing.mail import parse_unguarded
from services.mailrelay.parsing.patterns import Documents, WordingWrong, build, put_together, read_documents
from tests.cases import every_case
from tests.unit.mailrelay.parsing.worded_mails import WordedMail, read_mails, understood

DOCUMENTS = read_documents()
FILES = sorted(DOCUMENTS)
LANGUAGES = {"en", "de", "fr", "es", "it", "nl", "pl", "sv", "ja", "tr", "pt", "ar"}


@pytest.mark.parametrize("file", FILES)
def test_worded_mail_is_understood(file: str):
    with every_case() as case:
        for mail in read_mails(file):
            with case(mail.name):
                assert understood(parse_unguarded(mail.raw), mail.expected) == mail.expected


@pytest.mark.parametrize("file", FILES)
def test_every_entry_is_needed_by_a_mail(file: str):
    mails = read_mails(file)

    idle = [
        where
        for where, entry, without in _each_entry_removed(file)
        if _all_understood(_those_that_say(entry, mails), without)
    ]

    assert idle == [], "no mail in tests/mails/wording needs these: add one, or take the entry out"


def test_there_is_a_file_for_each_language_and_each_has_every_section():
    assert {file.removesuffix(".toml") for file in FILES} >= LANGUAGES | {"general"}
    for language in LANGUAGES:
        assert DOCUMENTS[f"{language}.toml"].keys() == DOCUMENTS["en.toml"].keys(), language


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"greeting": {"texts": ["Hallo"]}}, r"de\.toml: there is no section \[greeting\]"),
        ({"verification": {"texts": ["Hallo"]}}, r"de\.toml: \[verification\] texts: there is no such list"),
        ({"order_notice": {"texts": "Hallo"}}, r"de\.toml: \[order_notice\] texts: must be a list"),
        ({"order_notice": {"texts": [5]}}, r"de\.toml: \[order_notice\] texts: 5: must be a text"),
        ({"order_notice": {"texts": [" "]}}, r"de\.toml: \[order_notice\] texts: ' ': must be a text"),
        ({"order_notice": {"texts": ["… neu"]}}, r"de\.toml: \[order_notice\] texts: '… neu': … stands between"),
        ({"order_notice": {"texts": ["a … b … c"]}}, r"de\.toml: .*: … cannot stand here, or not as often"),
        ({"auto_reply": {"subjects": ["a … b"]}}, r"de\.toml: \[auto_reply\] subjects: 'a … b': … cannot stand here"),
        ({"verification": {"codes": ["a … b"]}}, r"de\.toml: \[verification\] codes: 'a … b': … cannot stand here"),
        ({"quoted_history": {"introductions": ["… a … "]}}, r"de\.toml: .*: … stands between words"),
        ({"order_notice": {"texts": ["You have a NEW order"]}}, r"en\.toml: .*'you have a new order': is there already \(de\.toml"),
        ({"order_notice": 5}, r"de\.toml: there is no section \[order_notice\]"),
    ],
)  # fmt: skip
def test_wrong_entry_is_told_by_file_and_name(change: dict[str, Any], message: str):
    with pytest.raises(WordingWrong, match=message):
        build({**DOCUMENTS, "de.toml": change})


def test_file_that_is_no_toml_is_told_by_name(tmp_path):
    (tmp_path / "de.toml").write_text('[order_notice]\ntexts = ["a" "b"]\n')

    with pytest.raises(WordingWrong, match=r"de\.toml: .*line 2"):
        read_documents(tmp_path)


def test_folder_without_the_general_file_is_refused(tmp_path):
    with pytest.raises(WordingWrong, match=r"general\.toml is missing"):
        build(read_documents(tmp_path))


def _those_that_say(entry: str, mails: list[WordedMail]) -> list[WordedMail]:
    """All of them; first those with the entry's words, one of which needs it, so that few have to be read."""
    words = max(entry.casefold().split("…"), key=len).strip()
    return sorted(mails, key=lambda mail: words not in mail.says)


def _each_entry_removed(file: str) -> Iterator[tuple[str, str, Documents]]:
    for section, lists in DOCUMENTS[file].items():
        for name, entries in lists.items():
            for at, entry in enumerate(entries):
                fewer = {**lists, name: entries[:at] + entries[at + 1 :]}
                without = {**DOCUMENTS, file: {**DOCUMENTS[file], section: fewer}}
                yield f"[{section}] {name}: {entry}", str(entry), without


def _all_understood(mails: list[WordedMail], documents: Documents) -> bool:
    wording = put_together(documents)
    return all(
        understood(parse_unguarded(mail.raw, wording), mail.expected) == mail.expected for mail in mails
    )
