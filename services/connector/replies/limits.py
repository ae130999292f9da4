"""How large the requests of this room may be, and how many files a process takes at once, for all accounts together."""

import re
from typing import Final

from services.connector.http.middleware import LargeBodies
from services.connector.replies.allowed_files import MOST_BYTES
from shared.errors import Expected

# A file is in memory as a whole, opened and sealed.
MAX_UPLOADS: Final = 8
# Somebody's telephone sends 10 MB; one byte more is told as what it is. Larger announced sizes are refused unread.
UPLOADS: Final = LargeBodies(
    "POST", re.compile(r"/api/v1/conversations/[^/]+/files"), most_bytes=2 * MOST_BYTES, seconds=300.0
)


class UploadBroken(Expected):
    """The connection ended before the file did; nobody reads the answer."""

    code = "upload_broken"


class UploadsBusy(Expected):
    """The upload waited for a slot and got none in time."""

    code = "uploads_busy"
