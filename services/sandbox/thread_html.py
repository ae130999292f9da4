"""The messages of a thread as HTML, for the buyer's page and for Seller Central's: each with who wrote it, when, and its files."""

from collections.abc import Mapping
from html import escape
from typing import Final

from services.sandbox.dependencies import Language
from services.sandbox.state.threads import Author, File, ThreadMessage

FILES_PATH: Final = "/buyer/files"

_TEXTS: Final = {
    "de": {"none": "Noch keine Nachrichten.", "files": "Dateien", "bytes": "Bytes", "unnamed": "ohne Namen"},
    "en": {"none": "No messages yet.", "files": "Files", "bytes": "bytes", "unnamed": "without a name"},
}


def thread_html(
    language: Language, order_id: str, messages: list[ThreadMessage], names: Mapping[Author, str]
) -> str:
    """A list with the id `thread`. `names` says who each author is to the reader."""
    texts = _TEXTS[language]
    if not messages:
        return f'<p id="no-messages">{texts["none"]}</p>'
    shown = "".join(_message(texts, order_id, message, names[message.author]) for message in messages)
    return f'<ol id="thread">{shown}</ol>'


def _message(texts: Mapping[str, str], order_id: str, message: ThreadMessage, name: str) -> str:
    files = "".join(
        _file(texts, order_id, message.message_key, number, file) for number, file in enumerate(message.files)
    )
    list_of_files = f'<p>{texts["files"]}:</p><ul class="files">{files}</ul>' if files else ""
    return f"""<li data-author="{message.author}"><p><strong>{name}</strong>,
<time datetime="{message.at.isoformat()}">{message.at:%Y-%m-%d %H:%M:%S} UTC</time></p>
<pre>{escape(message.text.strip())}</pre>{list_of_files}</li>"""


def _file(texts: Mapping[str, str], order_id: str, message_key: str, number: int, file: File) -> str:
    url = f"{FILES_PATH}/{order_id}/{message_key}/{number}"
    name = escape(file.filename) or texts["unnamed"]
    return f'<li><a href="{url}"><bdi>{name}</bdi></a>, {len(file.content)} {texts["bytes"]}</li>'
