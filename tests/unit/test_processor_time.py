"""What the benchmark counts as a server's processor time."""

import os
import subprocess
import sys

from tests.bench.processor_time import processor_seconds

# Works in a child that ends, then in itself; says how long both have worked, by their own account.
_WORKS = """
import os, subprocess, sys, time

work = "import time\\nwhile time.process_time() < 0.3: pass"
subprocess.run([sys.executable, "-c", work], check=True)
exec(work)
print(sum(os.times()[:4]), flush=True)
sys.stdin.read()
"""


def test_the_time_of_a_process_is_counted_with_that_of_children_that_have_ended():
    with subprocess.Popen(
        [sys.executable, "-c", _WORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        own_account = float(process.stdout.readline())

        seconds = processor_seconds([process.pid])
        seconds_of_all = processor_seconds([os.getpid()])

        process.stdin.close()
    # More than one of the two; each of four figures is rounded down to a hundredth.
    assert own_account > 0.5
    # Each tick is a hundredth; between the two readings the process did nothing but write a line.
    assert abs(seconds - own_account) < 0.1
    assert seconds_of_all > seconds
