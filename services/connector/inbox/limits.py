"""How many files and searches a process has under way at once, for all accounts together."""

from typing import Final

from shared.errors import Expected

# A file is in memory as a whole until its last byte has left; the largest mail has 40 MB, and lies there sealed and opened.
MAX_DOWNLOADS: Final = 8
# A search may keep a connection to the database for seconds. Of the ten that a process has, the others stay for what is quick.
MAX_SEARCHES: Final = 4


class DownloadsBusy(Expected):
    """The download waited for a slot and got none in time."""

    code = "downloads_busy"


class SearchesBusy(Expected):
    """The search waited for a slot and got none in time."""

    code = "searches_busy"
