"""A program that tells what it is like, and ends as it is told: with an exit code, or by a signal."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def main(end: str) -> None:
    files = {int(path.name): path.readlink() for path in Path("/proc/self/fd").iterdir() if path.exists()}
    ignored = next(
        line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if "SigIgn" in line
    )
    told = {
        "parent": os.getppid(),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "folder": str(Path.cwd()),
        "arguments": sys.argv[1:],
        "name": __name__,
        "environment": dict(os.environ),  # noqa: TID251 - the test's
        "files": sorted(files),
        "ignored": ignored,
        "interrupt": str(signal.getsignal(signal.SIGINT)),
        "child": subprocess.run([sys.executable, "-c", "print(1)"], check=True, capture_output=True, text=True).stdout,
    }  # fmt: skip
    print(json.dumps(told), flush=True)  # noqa: T201
    print("error", file=sys.stderr)  # noqa: T201
    if end == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    elif end == "never":
        signal.pause()
    sys.exit(int(end))


if __name__ == "__main__":
    main(sys.argv[1])
