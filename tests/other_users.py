"""Programs of ours that run as somebody else than the test, which has to be root's for that."""

import contextlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
# An interpreter of the system finds the packages of ours there.
ENVIRONMENT: Final = {"PATH": os.defpath, "PYTHONPATH": sysconfig.get_path("purelib")}
ROOT: Final = Path(__file__).parents[1]


def interpreter_for(user: str | int, module: str) -> str:
    """A Python with which the user may import this module; one in root's home it may not run. Else the test is skipped."""
    for candidate in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [candidate, "-c", f"import {module}"], user=user, env=ENVIRONMENT, cwd=ROOT, check=True
            )
            return candidate
    pytest.skip(f"{user} can run no Python of this version here")
