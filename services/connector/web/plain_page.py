"""Pages that need neither script nor database, for when the address must stay as it is or nothing else can be shown."""

from html import escape
from typing import Final

from services.connector.http.language import Language
from services.connector.http.support_contact import support_line
from services.connector.web.static_files import static_files

_TRY_AGAIN: Final = {Language.EN: "Try again", Language.DE: "Noch einmal versuchen"}

# Links and style sheets only. The address may hold a code of Amazon's: it is sent to nobody as a referrer, and not cached.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def plain_page(language: Language, title: str, *paragraphs: str, button: str, url: str) -> str:
    """A page with a title, paragraphs and one button, all given as text. An empty `url` leads to this address again."""
    shown = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    link = f'<p><a class="button" rel="noreferrer" href="{escape(url)}">{escape(button)}</a></p>'
    return document(language, title, f"{shown}\n{link}")


def try_again_page(language: Language, title: str, detail: str, support_contact: str | None = None) -> str:
    """A page that says what went wrong, with a button that loads the same address again.

    A callback of Amazon's that could not be handled is handled by such a reload.
    """
    help_line = support_line(support_contact, language)
    paragraphs = [detail, help_line] if help_line else [detail]
    return plain_page(language, title, *paragraphs, button=_TRY_AGAIN[language], url="")


def document(language: Language, title: str, body: str) -> str:
    """A complete page around `body`, which is HTML; the title is text."""
    prefix = static_files().prefix
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)} · Replyco</title>\n"
        f'<link rel="icon" href="{prefix}/icon.svg" type="image/svg+xml">\n'
        f'<link rel="stylesheet" href="{prefix}/style.css">\n'
        f'</head>\n<body>\n<main class="main main-narrow"><div class="page">\n<h1>{escape(title)}</h1>\n{body}\n'
        "</div></main>\n</body>\n</html>\n"
    )
