"""A mail's HTML → a document of its own, to be shown in a sandboxed frame. Pure.

Three walls stand one behind the other. The mail worker has cleaned the HTML when the mail came, once and for all; here it is written
anew tag by tag, so that nothing comes out that is not named below; and the document's policy lets nothing run and nothing load,
whatever came through. Writing takes time by the length of the HTML: no tree is built of it. Of remote images the description stays: loading one tells the sender that, when and where
the mail is read. Behind a link stands where it leads. A mail in quarantine pretends to be Amazon's: its links are not for
clicking and its images not for being taken in, they are named only.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote

from typing_extensions import override

from services.connector.http.language import Language
from services.connector.inbox.links import Link, link_of

MAX_IMAGE_BYTES: Final = 5 * 1024 * 1024
# More than the mail worker keeps of any mail: of 200,000 characters and 10,000 tags. What an earlier version of it has kept may be more.
MAX_HTML_BYTES: Final = 2_000_000
MAX_TAGS: Final = 40_000

_VOID: Final = frozenset({"br", "hr"})
_SHAPES: Final = _VOID | {
    "b", "strong", "i", "em", "u", "s", "sub", "sup", "small", "p", "div", "span", "blockquote", "pre", "code",
    "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
# Embeddings, overrides and isolates of the bidirectional algorithm: they could write a target backwards.
_DIRECTIONS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")

# Nothing of a mail's own colours comes through: so all of it can be dark. What is too wide scrolls within the body.
_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{margin:0;padding:8px;font:15px/1.5 system-ui,sans-serif;color:#1b1b1f;background:#ffffff;overflow-wrap:anywhere;overflow-x:auto}"
    "img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}a{color:#1f5f8b}"
    ".target,.left-out{color:#566373;font-size:.87em}"
    "@media screen and (prefers-color-scheme:dark){body{color:#e6ebf0;background:#1a222b}a{color:#7cb8e0}"
    # A drawing may be dark and without a ground of its own.
    ".target,.left-out{color:#a3b0bd}img{background:#ffffff;color:#1b1b1f}}"
)
_STYLE_SOURCE: Final = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
_POLICY: Final = f"default-src 'none'; img-src data:; style-src {_STYLE_SOURCE}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
_LEFT_OUT: Final = {Language.EN: "image not loaded", Language.DE: "Bild nicht geladen"}


@dataclass(frozen=True, slots=True)
class Image:
    """An attachment that the HTML may show; `media_type` is what its bytes are."""

    media_type: str
    content: bytes


def policy(*, is_quarantined: bool, is_in_our_page: bool) -> str:
    """The document's Content-Security-Policy. A link opens a window of its own, which is not in the sandbox.

    In a frame of our own page, that page may see how tall it is. Nothing runs in it, so nothing in it can look back.
    """
    words = [
        "sandbox",
        *(["allow-same-origin"] if is_in_our_page else []),
        *([] if is_quarantined else ["allow-popups", "allow-popups-to-escape-sandbox"]),
    ]
    return f"{' '.join(words)}; {_POLICY}"


def is_small_enough(html: str) -> bool:
    """Whether the HTML is written quickly."""
    return html.count("<") <= MAX_TAGS


def document_of_text(text: str) -> str:
    """HTML that shows a text, in the place of HTML that is too large."""
    return f"<pre>{escape(text)}</pre>"


def named_images(html: str) -> set[str]:
    """The Content-IDs of the images that the HTML wants to show."""
    reader = _ImageReader()
    reader.feed(html)
    reader.close()
    return reader.content_ids


def document(html: str, images: Mapping[str, Image], language: Language, *, is_quarantined: bool) -> str:
    """The complete document. `images` by Content-ID; together they take up at most MAX_IMAGE_BYTES, however often they are shown."""
    writer = _Writer(images, _LEFT_OUT[language], is_quarantined=is_quarantined)
    writer.feed(html)
    writer.close()
    body = "".join(writer.pieces)
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<title></title><style>{_STYLE}</style></head><body dir="auto">{body}</body></html>'
    )


def _content_id_of(attributes: dict[str, str | None]) -> str | None:
    """The Content-ID that an image of this mail is named by (RFC 2392 §2)."""
    scheme, _, name = (attributes.get("src") or "").partition(":")
    return unquote(name) if scheme.lower() == "cid" and name else None


class _ImageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.content_ids: set[str] = set()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        content_id = _content_id_of(dict(attrs)) if tag == "img" else None
        if content_id is not None:
            self.content_ids.add(content_id)


class _Writer(HTMLParser):
    """Writes cleaned, hence well-formed HTML anew."""

    def __init__(self, images: Mapping[str, Image], left_out: str, *, is_quarantined: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._images = images
        self._left_out = left_out
        self._is_quarantined = is_quarantined
        self._image_bytes_left = MAX_IMAGE_BYTES
        self._link: Link | None = None

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open_link(dict(attrs).get("href") or "")
        elif tag == "img":
            self._show_image(dict(attrs))
        elif tag in _SHAPES:
            self.pieces.append(f"<{tag}>")

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._close_link()
        elif tag in _SHAPES and tag not in _VOID:
            self.pieces.append(f"</{tag}>")

    @override
    def handle_data(self, data: str) -> None:
        self.pieces.append(escape(_DIRECTIONS.sub("", data)))

    def _open_link(self, href: str) -> None:
        self._close_link()
        self._link = link_of(href)
        if self._link is not None and not self._is_quarantined:
            self.pieces.append(
                f'<a href="{escape(self._link.url)}" target="_blank" rel="noopener noreferrer nofollow">'
            )

    def _close_link(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if not self._is_quarantined:
            self.pieces.append("</a>")
        self.pieces.append(f' <bdi class="target" dir="ltr">[{escape(link.target)}]</bdi>')

    def _show_image(self, attributes: dict[str, str | None]) -> None:
        image = self._images.get(_content_id_of(attributes) or "")
        words = escape(_DIRECTIONS.sub("", attributes.get("alt") or ""))
        if image is not None and len(image.content) <= self._image_bytes_left:
            self._image_bytes_left -= len(image.content)
            content = b64encode(image.content).decode()
            self.pieces.append(f'<img src="data:{escape(image.media_type)};base64,{content}" alt="{words}">')
        elif (
            attributes.get("alt") != ""
        ):  # an empty description is that of a decoration (HTML Standard §4.8.4.4)
            self.pieces.append(f'{words} <span class="left-out">[{self._left_out}]</span>')
