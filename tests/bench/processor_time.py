"""Processor time of servers with all their processes, read from /proc: of those that run, and of those that have ended."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def processor_seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and their descendants since they were started.

    What has ended was waited for by its parent, whose `cutime` and `cstime` have it from then on: each tick is counted once.
    """
    children: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # The name stands in parentheses, and may hold anything.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(folder.name))
        # utime, stime, cutime, cstime (proc_pid_stat(5): 14 to 17, of which the first two stand before the parenthesis's end).
        ticks[int(folder.name)] = sum(int(field) for field in fields[11:15])
    waiting, total = list(roots), 0
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children[pid]
    return total / _TICKS_A_SECOND
