"""How a command loads its code: without the garbage collector, which would look through all of it again and again, and find nothing."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

# structlog loads it, a seventh of what a relay loads, for the tracebacks of developers' terminals, which we do not write. Typer finds it,
# for `--help`, when it looks for it.
_LATER: Final = "rich"


@contextmanager
def loading() -> Iterator[None]:
    """For imports. What they load stays to the end, so the garbage collector leaves it out from then on."""
    was_enabled = gc.isenabled()
    gc.disable()
    modules: dict[str, Any] = sys.modules
    leave_out = _LATER not in modules
    if leave_out:
        # To whoever imports it, and can do without, it is not there (https://docs.python.org/3/reference/import.html#the-module-cache).
        modules[_LATER] = None
    try:
        yield
    finally:
        if leave_out:
            modules.pop(_LATER, None)
        gc.freeze()
        if was_enabled:
            gc.enable()
