"""Where people ask for help: what the operator has set stands on pages that say what went wrong, and otherwise nobody is named."""

import gzip

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.connector.http.language import Language
from services.connector.http.support_contact import support_line, support_link
from services.connector.web.api import error_page, router


def _document(contact: str | None) -> str:
    app = FastAPI()
    app.state.support_contact = contact
    app.include_router(router)
    return TestClient(app).get("/connect/problem/unknown").text


@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("help@example.com", "mailto:help@example.com"),
        ("https://example.com/help?from=app&x=1", "https://example.com/help?from=app&amp;x=1"),
    ],
)
def test_a_document_names_the_contact(contact: str, link: str) -> None:
    assert f'<meta name="support-contact" content="{link}">' in _document(contact)


def test_without_a_contact_a_document_names_nobody() -> None:
    assert "support-contact" not in _document(None)


def test_a_compressed_document_names_it_too_and_has_a_tag_of_its_own() -> None:
    app = FastAPI()
    app.include_router(router)
    plain = TestClient(app).get("/sign-in").headers["ETag"]
    app.state.support_contact = "help@example.com"
    with TestClient(app).stream("GET", "/sign-in", headers={"Accept-Encoding": "gzip"}) as answer:
        content = gzip.decompress(b"".join(answer.iter_raw()))
    assert b"mailto:help@example.com" in content
    assert answer.headers["ETag"] != plain


@pytest.mark.parametrize(("language", "line"), [(Language.DE, "Hilfe: "), (Language.EN, "Help: ")])
def test_a_page_without_script_names_it_only_if_there_is_one(language: Language, line: str) -> None:
    with_contact = error_page(language, "Title", "Detail.", 500, {}, support_contact="help@example.com")
    without = error_page(language, "Title", "Detail.", 500, {})
    assert f"{line}help@example.com" in bytes(with_contact.body).decode()
    assert line not in bytes(without.body).decode()


def test_a_mail_ends_with_it_or_without_a_word() -> None:
    assert support_line("help@example.com", Language.DE) == "Hilfe: help@example.com"
    assert support_line(None, Language.DE) == ""
    assert support_link("https://example.com/help") == "https://example.com/help"
