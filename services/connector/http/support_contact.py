"""Where people ask for help with this installation: an e-mail address or a page, as the operator has set it, or nowhere."""

from typing import Final

from services.connector.http.language import Language

_LINE: Final = {Language.DE: "Hilfe: {contact}", Language.EN: "Help: {contact}"}


def support_link(contact: str) -> str:
    """The address of a link that leads there."""
    return contact if contact.startswith("https://") else f"mailto:{contact}"


def support_line(contact: str | None, language: Language) -> str:
    """A line for the end of a text; empty without a contact."""
    return _LINE[language].format(contact=contact) if contact else ""
