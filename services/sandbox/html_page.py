"""The layout of every page: plain HTML without scripts, one small style sheet, a strict Content-Security-Policy.

The forms carry no token against cross-site requests: nothing here is worth forging, and the sandbox is never deployed.
"""

from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse

from services.sandbox.dependencies import Language

STYLE_SHEET_PATH: Final = "/sandbox.css"

STYLE_SHEET: Final = """\
:root { color-scheme: light dark; --line: #8886; --strong: #0b5c7a; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1rem; }
header { border-bottom: 1px solid var(--line); padding-bottom: .5rem; margin-bottom: 1rem; }
header p { margin: 0; font-size: .875rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
label { display: block; margin-top: .75rem; } label.tick { display: flex; gap: .5rem; align-items: baseline; }
input:not([type=checkbox]):not([type=radio]), select, textarea {
  font: inherit; width: 100%; box-sizing: border-box; padding: .4rem; border: 1px solid var(--line); border-radius: .25rem; }
button { font: inherit; padding: .4rem 1rem; margin: .75rem .5rem 0 0; border: 1px solid var(--line); border-radius: .25rem; cursor: pointer; }
button.main { background: var(--strong); color: #fff; border-color: var(--strong); }
:focus-visible { outline: 3px solid #f90; outline-offset: 2px; }
.note { border-left: 4px solid var(--strong); padding: .25rem .75rem; } .wrong { border-left: 4px solid #b00; padding: .25rem .75rem; }
fieldset { border: 1px solid var(--line); margin-top: 1rem; } code { overflow-wrap: anywhere; }
li form { display: inline; } pre { white-space: pre-wrap; overflow-wrap: anywhere; } .columns { columns: 14rem; }
@media (prefers-color-scheme: dark) { :root { --strong: #2d8fb5; } }
"""

_TEXTS: Final = {
    "de": {"sandbox": "Sandbox: ein Nachbau für Entwicklung und Tests, nicht Amazon.", "start": "Übersicht"},
    "en": {"sandbox": "Sandbox: a stand-in for development and tests, not Amazon.", "start": "Overview"},
}


def page(
    language: Language,
    title: str,
    body: str,
    *,
    place: str = "",
    status: int = 200,
    form_targets: Iterable[str] = (),
    refresh_seconds: int | None = None,
) -> HTMLResponse:
    """A complete page. `body` is HTML, everything else is text.

    `form_targets` are the URLs that a form's answer may redirect to: browsers hold `form-action` against them too.
    """
    texts = _TEXTS[language]
    targets = " ".join(["'self'", *(sorted({origin(target) for target in form_targets}))])
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds else ""
    html = f"""<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<title>{escape(title)}</title><link rel="stylesheet" href="{STYLE_SHEET_PATH}"></head>
<body>
<header><p>{texts["sandbox"]} <a href="/">{texts["start"]}</a></p><p>{escape(place)}</p></header>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""
    headers = {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action {targets}"
        ),
        "Cache-Control": "no-store",
        "Content-Language": language,
        "Vary": "Accept-Language",
    }
    return HTMLResponse(html, status, headers)


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def hidden(**fields: str) -> str:
    """Hidden inputs for the fields that are not empty."""
    return "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in fields.items()
        if value
    )


def option(value: str, label: str, *, selected: bool = False) -> str:
    return f'<option value="{escape(value)}"{" selected" if selected else ""}>{escape(label)}</option>'


def not_found(language: Language) -> HTMLResponse:
    """The page for an address at which there is nothing."""
    if language == "de":
        return page(language, "Nicht gefunden", "<p>Unter dieser Adresse gibt es nichts.</p>", status=404)
    return page(language, "Not found", "<p>There is nothing at this address.</p>", status=404)
