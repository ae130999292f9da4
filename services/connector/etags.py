"""Versions over HTTP: an answer names the version of what it shows (ETag), a change may insist on it (If-Match).

The tag stands for what clients can change, not for every byte of an answer: a lock turns without a new version. So it guards
changes, and nobody caches by it. If-Match is optional; without it the last change wins.
"""

from shared.errors import Expected


class PreconditionFailed(Expected):
    """If-Match names another version: somebody changed it in the meantime."""

    code = "precondition_failed"


def etag_of(version: int) -> str:
    """The value of an ETag header."""
    return f'"{version}"'


def require_match(if_match: str | None, version: int) -> None:
    """Raises PreconditionFailed if the header names versions, and this is not one of them."""
    if if_match is None or if_match.strip() == "*":
        return
    # W/ may be there because a proxy has compressed the answer; a version is as exact with it.
    named = {tag.strip().removeprefix("W/") for tag in if_match.split(",")}
    if etag_of(version) not in named:
        raise PreconditionFailed
