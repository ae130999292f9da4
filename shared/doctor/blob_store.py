"""What a role needs of the store of large mail, as `doctor` finds it."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from shared.blobs import BlobsUnavailable, open_blobs
from shared.doctor.findings import Finding, ok, warning, wrong
from shared.settings import BlobSettings

# Kinds of file systems that keep nothing: the memory's, and a container's own layer.
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_OF_A_CONTAINER: Final = frozenset({"overlay", "aufs"})
_MOUNTS: Final = Path("/proc/self/mountinfo")
_WHERE: Final = "Does REPLYCO_BLOB_URL name the folder of the relay, the mail workers and the connector?"


async def blob_findings(
    settings: BlobSettings, *, in_development: bool, writes: bool = True, lists: bool = True
) -> list[Finding]:
    """Whether this user can do with large mail what its role does. Nothing is written."""
    url = urlsplit(settings.blob_url)
    if url.scheme == "file":
        folder = Path(unquote(url.path))
        findings = _folder(folder, writes=writes, in_development=in_development)
        closed = [] if _unusable(folder, writes=writes) else await _closed_days(settings)
        # Whoever only writes makes today's folder, and looks into no other.
        return [*findings, _closed(folder, closed)] if closed and lists else findings
    store = open_blobs(settings)
    try:
        await store.days()
    except BlobsUnavailable:
        if not lists:
            return [
                warning(
                    "The bucket of large mails cannot be listed. If this access key may only write there, which is enough, that is all right, "
                    "and nobody can say here whether it may; else REPLYCO_BLOB_URL names no bucket that can be reached."
                )
            ]
        return [
            wrong(
                "The large mails at REPLYCO_BLOB_URL cannot be listed. Does it name the bucket of the relay, the mail workers and the "
                "connector, and may this access key list there (s3:ListBucket)?"
            )
        ]
    finally:
        store.close()
    return [
        ok(
            "The bucket of large mails can be listed. Whether this access key may write there, only a large mail shows."
        )
    ]


def _folder(folder: Path, *, writes: bool, in_development: bool) -> list[Finding]:
    problem = _unusable(folder, writes=writes)
    if problem is not None:
        return [wrong(problem)]
    kind = _file_system(folder)
    if kind in _IN_MEMORY:
        return [
            (warning if in_development else wrong)(
                f"{folder} lies in memory ({kind}): large mails that were accepted are gone when this machine stops. Let REPLYCO_BLOB_URL name "
                "a folder on a disk."
            )
        ]
    if kind in _OF_A_CONTAINER:
        return [
            warning(
                f"{folder} lies in a container's own layer ({kind}): large mails are gone with the container. Mount a volume there."
            )
        ]
    may = "read and written" if writes else "read"
    return [
        ok(
            f"The folder of large mails can be {may}, and lies on {kind or 'a file system that we do not know'}."
        )
    ]


async def _closed_days(settings: BlobSettings) -> list[str]:
    store = open_blobs(settings)
    try:
        return await store.closed_days()
    except BlobsUnavailable:
        return []
    finally:
        store.close()


def _closed(folder: Path, days: list[str]) -> Finding:
    try:
        group = folder.group()
    except (KeyError, OSError):
        group = "GROUP"
    return wrong(
        f"This user may not read or remove what lies in {len(days)} folders of large mail (the first is {folder / days[0]}): what is to be erased "
        f"stays. As root: `chgrp -R {group} {folder}`, `find {folder} -type d -exec chmod 2770 {{}} +`, `find {folder} -type f -exec chmod 640 {{}} +`."
    )


def _unusable(folder: Path, *, writes: bool) -> str | None:
    if not os.path.lexists(folder):
        return f"The folder of large mails, {folder}, is not there, or this user may not look for it. Make it, for the group of all roles (docs/operations/running.md), or mount it. {_WHERE}"
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where this user may not look
        return f"{folder} is no folder, so that no large mail can lie there. {_WHERE}"
    # Whoever writes syncs the folder, too, and for that has to read it.
    if not os.access(folder, os.R_OK | os.X_OK):
        return (
            f"This user cannot list {folder}, where large mails lie. Add it to the folder's group. {_WHERE}"
        )
    if writes and not os.access(folder, os.W_OK):
        return f"This user cannot write into {folder}, where large mails lie. Add it to the folder's group, and let that write (`chmod 2770`)."
    return None


def _file_system(folder: Path) -> str | None:
    """The kind of the file system that a folder lies on, or None where the system does not tell (proc(5), mountinfo)."""
    try:
        lines = _MOUNTS.read_text().splitlines()
        number = folder.stat().st_dev
    except OSError:
        return None
    device = f"{os.major(number)}:{os.minor(number)}"
    for line in lines:
        mount, _, rest = line.partition(" - ")
        if mount.split()[2] == device:
            return rest.split()[0]
    return None
