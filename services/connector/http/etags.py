"""Versions over HTTP: an answer names the version of what it shows (ETag), a change may insist on it (If-Match).

The version stands for what clients can change, not for every byte of an answer: a lock turns without a new version. What is
read has a digest behind the version, which tells whether anything differs (`conditional_get.py`); a change heeds the version
alone. If-Match is optional; without it the last change wins.
"""

from shared.errors import Expected


class PreconditionFailed(Expected):
    """If-Match names another version: somebody changed it in the meantime."""

    code = "precondition_failed"


def etag_of(version: int) -> str:
    """The ETag header of what has this version."""
    return f'"{version}"'


def require_match(if_match: str | None, version: int) -> None:
    """Check If-Match. Raises PreconditionFailed if the header names versions, and this is not one of them."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag_of(version) not in {_without_digest(tag) for tag in _tags(if_match)}:
        raise PreconditionFailed


def versions_in(if_match: str) -> list[int]:
    """The versions that an If-Match header names, as far as they can be ours."""
    plain = (_without_digest(tag).strip('"') for tag in _tags(if_match))
    return [
        int(version) for version in plain if version.isascii() and version.isdigit() and len(version) <= 40
    ]


def with_digest(tag: str, digest: str) -> str:
    """The tag of one answer that shows this version."""
    return f'{tag[:-1]}.{digest}"'


def is_among(tag: str, if_none_match: str) -> bool:
    """Whether an If-None-Match header names this tag."""
    return if_none_match.strip() == "*" or tag in _tags(if_none_match)


def _without_digest(tag: str) -> str:
    return f'{tag.partition(".")[0]}"' if "." in tag else tag


def _tags(header: str) -> set[str]:
    # W/ may be there because a proxy has compressed the answer; a version is as exact with it.
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
