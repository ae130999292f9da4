"""Whether the role that this container runs is ready, for a container's health check. Exit code 0 says yes.

The role is read from the first process of the container. A command that ends by itself, such as a migration, is always healthy.
"""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

# The port that a role answers about itself on: the setting that names it, and its default.
PORTS: Final = {
    ("replyco-connector", "serve"): ("REPLYCO_SIDE_PORT", 8002),
    ("replyco-connector", "worker"): ("REPLYCO_WORKER_PORT", 8001),
    ("replyco-mailrelay", "serve"): ("REPLYCO_SIDE_PORT", 8025),
    ("replyco-mailrelay", "worker"): ("REPLYCO_WORKER_PORT", 8026),
}
_SECONDS: Final = 8
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a listener may have been told


def port_of(arguments: list[str], environment: dict[str, str]) -> int | None:
    """The port of the role with this command line, in front of which an init or an interpreter may stand."""
    words = [Path(word).name for word in arguments]
    for (command, role), (setting, default) in PORTS.items():
        if command in words and words[words.index(command) + 1 :][:1] == [role]:
            return int(environment.get(setting, default))
    return None


def check(arguments: list[str], environment: dict[str, str]) -> int:
    """The exit code for the container whose first process has this command line."""
    port = port_of(arguments, environment)
    if port is None:
        return 0
    host = environment.get("REPLYCO_SIDE_HOST", "127.0.0.1")
    url = f"http://{_EVERYWHERE.get(host, host)}:{port}/readyz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            print(answer.read(200).decode(errors="replace"), end="")
    except urllib.error.HTTPError as error:
        print(error.read(200).decode(errors="replace"), end="")
        return 1
    except OSError as error:
        print(f"{url} does not answer: {error}")
        return 1
    return 0


if __name__ == "__main__":
    first = Path("/proc/1/cmdline").read_text("utf-8").rstrip("\0").split("\0")
    sys.exit(check(first, dict(os.environ)))  # noqa: TID251 - it runs without the project's code
