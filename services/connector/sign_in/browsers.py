"""The browser that somebody signs in with: what it sent, and what a person recognises it by."""

from dataclasses import dataclass, field
from typing import Final

UNKNOWN: Final = "?"
# Whoever calls themselves several things is the first of these.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Browser:
    """What came with a sign-in. `session_token`: of the session that it replaces. `known_token`: of a sign-in before; both may be empty."""

    client_address: str
    user_agent: str
    session_token: str = field(repr=False)
    known_token: str = field(repr=False)


def browser_name(user_agent: str) -> str:
    """Such as "Firefox, Windows": made of names of ours alone, whatever was sent. `?` stands for what is not known."""
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), UNKNOWN)
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), UNKNOWN)
    return UNKNOWN if browser == system == UNKNOWN else f"{browser}, {system}"
