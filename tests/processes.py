"""Our commands as processes that outlive no test: they end when whoever started them has ended, however that went."""

import sys

# The pipe on standard input closes when its other end's process dies, by SIGKILL or by a time limit as well.
_ENDS_WITH_ITS_STARTER = """
import os, runpy, sys, threading

def wait():
    while os.read(0, 1024):
        pass
    os._exit(1)

threading.Thread(target=wait, daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def command(module: str, *arguments: str) -> list[str]:
    """`python -m module arguments`, to be started with a pipe as its standard input."""
    return [sys.executable, "-c", _ENDS_WITH_ITS_STARTER, module, *arguments]
