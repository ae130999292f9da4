"""The pages' files as browsers get them: read, put together and compressed once, below an address that holds the hash of them all.

A file below such an address never changes, so a browser keeps it and never asks again. What a page needs is found by following the
scripts' imports, and its texts by looking for their keys there: nothing of that is written down a second time.
"""

import gzip
import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from html import escape
from pathlib import Path
from typing import Final

from services.connector.http.support_contact import support_link
from services.connector.web.script_bundles import COMMON, Imports, bundled, imports_of, reached
from services.connector.web.texts import TEXT_SETS, keys_in, page_texts

FOLDER: Final = Path(__file__).parent
_STATIC: Final = FOLDER / "static"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The first script, whose texts every page has.
_APP: Final = "app"
# No key of a text has this character, and it is behind all others.
_BEHIND_ALL: Final = "\U0010ffff"
# The page of all parts, which is no page of the product's: it has a first script of its own.
COMPONENTS: Final = "components"
_ROUTE: Final = re.compile(r'^route\("([^"]+)", "(\w+)"', re.MULTILINE)
# Whole lines of comment and indentation, with which nobody's browser has to be bothered.
_COMMENT: Final = re.compile(r"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*)\n", re.MULTILINE)
_INDENT: Final = re.compile(r"\n +")
_PARAMETER: Final = re.compile(r":(\w+)")
_STYLE_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_SPACE: Final = re.compile(r"\s*\n\s*")
_STYLES: Final = re.compile(r'^@import "(css/\w+\.css)";$', re.MULTILINE)


@dataclass(frozen=True)
class ServedFile:
    """A file, plain and compressed."""

    content: bytes
    media_type: str
    etag: str

    @cached_property
    def compressed(self) -> bytes:
        """Once, when it is asked for: to compress all of them would hold up each start."""
        return gzip.compress(self.content, 9, mtime=0)


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """`files` by their path below `prefix`; `pages` is the name of the page of each address pattern, and `shells` the document of each page."""

    prefix: str
    files: dict[str, ServedFile]
    pages: dict[str, str]
    shells: dict[str, ServedFile]


@cache
def static_files() -> StaticFiles:
    """All of them, put together at the first call."""
    scripts = {
        path.relative_to(_STATIC).as_posix(): _INDENT.sub("\n", _COMMENT.sub("", path.read_text("utf-8")))
        for path in sorted(_STATIC.rglob("*.js"))
    }
    pages = {_PARAMETER.sub(r"{\1}", address): name for address, name in _ROUTE.findall(scripts["app.js"])}
    names = sorted({*pages.values(), "not_found"})
    entries = {name: f"pages/{name}.js" for name in names} | {COMPONENTS: f"{COMPONENTS}.js"}
    core = [path for path in scripts if path.startswith("core/")]
    bundles = bundled(scripts, f"{_APP}.js", [*core, *entries.values()])
    contents = {path: content.encode() for path, content in bundles.items()}
    contents |= {path.name: path.read_bytes() for path in sorted(_STATIC.glob("*.svg"))}
    contents["style.css"] = _style().encode()
    contents |= _texts(scripts, imports_of(scripts), entries)
    prefix = f"/static/{_hash(contents)}"
    files = {path: _served(content, Path(path).suffix) for path, content in contents.items()}
    shells = {name: _shell(prefix, f"{_APP}.js", COMMON, entries[name]) for name in names}
    shells[COMPONENTS] = _shell(prefix, entries[COMPONENTS], COMMON)
    return StaticFiles(prefix, files, pages, shells)


def _served(content: bytes, suffix: str) -> ServedFile:
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    return ServedFile(content, TYPES[suffix], etag)


def _hash(contents: dict[str, bytes]) -> str:
    """Changes with anything that a browser gets: each file, and the document that names them."""
    whole = hashlib.sha256((FOLDER / "index.html").read_bytes())
    for path in sorted(contents):
        whole.update(f"\n{path}\n{len(contents[path])}\n".encode() + contents[path])
    return whole.hexdigest()[:16]


def _style() -> str:
    """One style sheet, without what only its readers need: style.css names the others in their order."""
    whole = _STYLES.sub(
        lambda found: (_STATIC / found[1]).read_text("utf-8"), (_STATIC / "style.css").read_text("utf-8")
    )
    return _SPACE.sub(" ", _STYLE_COMMENT.sub("", whole))


def _texts(scripts: dict[str, str], imports: dict[str, Imports], entries: dict[str, str]) -> dict[str, bytes]:
    """What a page says, a file for each page and set of texts; what all pages say is in `app.json` and in no other."""
    named = {path: keys_in(script) for path, script in scripts.items()}
    starts = {
        name: {start for path in reached(imports, entry, later=True) for start in named[path]}
        for name, entry in ({_APP: f"{_APP}.js"} | entries).items()
    }
    texts_of = {text_set: page_texts(text_set) for text_set in TEXT_SETS}
    known = sorted({key for texts in texts_of.values() for key in texts})
    by_page = {name: _beginning(known, begun) for name, begun in starts.items()}
    common = by_page[_APP]
    found: dict[str, bytes] = {}
    for text_set, texts in texts_of.items():
        for name, keys in by_page.items():
            asked = keys if name == _APP else keys - common
            chosen = {key: texts[key] for key in sorted(asked & texts.keys())}
            found[f"texts/{text_set}/{name}.json"] = json.dumps(
                chosen, ensure_ascii=False, separators=(",", ":")
            ).encode()
    return found


def _beginning(known: Sequence[str], starts: Iterable[str]) -> set[str]:
    """Those of `known`, which is sorted, that begin with one of `starts`: they stand beside each other."""
    return {
        key
        for start in starts
        for key in known[bisect_left(known, start) : bisect_left(known, start + _BEHIND_ALL)]
    }


def _shell(prefix: str, script: str, *needed: str) -> ServedFile:
    """The document that begins with a script, and tells the browser at once of those that it will need."""
    links = "".join(f'  <link rel="modulepreload" href="{prefix}/{path}">\n' for path in needed)
    document = (FOLDER / "index.html").read_text("utf-8").replace(f"/static/{_APP}.js", f"/static/{script}")
    document = document.replace("/static/", f"{prefix}/")
    return _served(document.replace("</head>", f"{links}</head>").encode(), ".html")


@lru_cache(maxsize=64)
def with_support_contact(shell: ServedFile, contact: str) -> ServedFile:
    """A document that also says where people ask for help."""
    told = f'  <meta name="support-contact" content="{escape(support_link(contact))}">\n</head>'
    return _served(shell.content.replace(b"</head>", told.encode(), 1), ".html")
