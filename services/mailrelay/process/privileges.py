"""What a process that faces the internet gives up before it begins: the rights of root, the way back, and core dumps."""

import ctypes
import os
import pwd
import resource
import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from services.mailrelay.settings import RelaySettings
from shared.errors import CannotStart

# The constants of prctl(2).
_PR_SET_NO_NEW_PRIVS: Final = 38


class PrivilegesNotDropped(CannotStart):
    """The process cannot become the user that it shall run as."""


class FileNotAccessible(CannotStart):
    """The user may not use a file or folder that the settings name."""


def drop_privileges_to(user: str) -> None:
    """Become this user for good. Raises PrivilegesNotDropped."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise PrivilegesNotDropped(
            f"There is no user {user}. Set REPLYCO_RUN_AS to a user of this system."
        ) from error
    if entry.pw_uid == 0:
        raise PrivilegesNotDropped(
            "REPLYCO_RUN_AS must not name root. Set it to a user with no rights of its own."
        )
    if os.geteuid() == entry.pw_uid:
        return
    try:
        # In this order: whoever has given up root can give up no group. The user's groups may give it the TLS key.
        os.setgroups(os.getgrouplist(user, entry.pw_gid))
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except PermissionError as error:
        raise PrivilegesNotDropped(
            f"Only root can become {user}. Start as root or as {user}, or leave REPLYCO_RUN_AS out."
        ) from error
    # Libraries look for files in the home folder (asyncpg: passwords and certificates), and fail if they may not.
    os.environ["HOME"] = entry.pw_dir  # noqa: TID251  # no setting of ours
    if _can_regain_root():
        raise PrivilegesNotDropped(f"The rights of root could not be given up for {user}'s.")


def _can_regain_root() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return 0 in os.getresuid() or 0 in os.getresgid()
    return True


def require_files(settings: RelaySettings, user: str) -> None:
    """Whether the user may do what accepting mail needs. Raises FileNotAccessible."""
    for name in ("mail_public_key_file", "tls_certificate_file", "tls_key_file"):
        path: Path | None = getattr(settings, name)
        if path is not None and not os.access(path, os.R_OK):
            raise FileNotAccessible(
                f"{user} cannot read {path}. Let it, or set REPLYCO_{name.upper()} to a file that it can read."
            )
    blobs = urlsplit(settings.blob_url)
    if blobs.scheme == "file":
        folder = Path(unquote(blobs.path))
        # It is made when it is first needed.
        present = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        if not os.access(present, os.W_OK | os.X_OK):
            raise FileNotAccessible(
                f"{user} cannot write into {present}. Let it, or set REPLYCO_BLOB_URL to a folder that it can write into."
            )
    if not os.access(sys.executable, os.X_OK):
        raise FileNotAccessible(
            f"{user} cannot run {sys.executable}. Install Python and the program where it can."
        )


def harden() -> None:
    """No program that this process could start has more rights than it, and its memory, which holds mail, is never
    written to a disk by a crash."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
