"""Logs say what happened and where, never with which value."""

import fcntl
import json
import os
import subprocess
import sys
import termios
import time
from collections import Counter
from pathlib import Path

_PROGRAM = """
import structlog
from shared.logging import configure_logging

configure_logging("tester")
log = structlog.get_logger()
log.info("mail_accepted", bytes=5)
try:
    token = "Atzr|canary"
    try:
        raise ValueError(token)
    except ValueError as error:
        raise RuntimeError("wrapped " + token) from error
except RuntimeError:
    log.exception("went_wrong")
"""


def test_an_exception_is_logged_by_type_and_place_only():
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    first, second = (json.loads(line) for line in output.splitlines())

    assert first | {"timestamp": ""} == {
        "event": "mail_accepted", "bytes": 5, "level": "info", "role": "tester", "timestamp": ""
    }  # fmt: skip
    assert [link["type"] for link in second["exception"]] == ["RuntimeError", "ValueError"]
    assert "canary" not in output


def test_lines_of_libraries_have_the_same_form():
    program = _PROGRAM + '\nimport logging\nlogging.getLogger("library").warning("took %s s", 3)\n'
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    line = json.loads(output.splitlines()[-1])

    assert line | {"timestamp": ""} == {
        "event": "took 3 s", "level": "warning", "role": "tester", "timestamp": ""
    }  # fmt: skip


def test_after_a_command_in_one_process_the_log_can_be_set_up_anew():
    program = _PROGRAM + "\nsys.stdout = sys.stderr\nconfigure_logging('another')\nlog.info('afterwards')\n"
    done = subprocess.run(
        [sys.executable, "-c", "import sys" + program], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stderr)["role"] == "another"


def test_a_line_that_cannot_be_written_stops_nobody():
    program = _PROGRAM + "\nimport sys\nprint('went on', file=sys.stderr)\n"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.stderr.splitlines()[0] == "went on"


def test_the_event_loop_repeats_no_value_of_a_task_that_failed_unseen():
    program = """
import asyncio, gc
from shared.logging import configure_logging

configure_logging("tester")


async def fail():
    raise ValueError("Atzr|canary")


async def forget():
    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()


asyncio.run(forget())
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    line = json.loads(output.stdout)

    assert line["event"] == "Task exception was never retrieved"
    assert [link["type"] for link in line["exception"]] == ["ValueError"]
    assert "canary" not in output.stdout + output.stderr


_TALKATIVE = """
import sys
from collections import Counter
import structlog
from shared.log_writer import LogWriter
from shared.logging import configure_logging, lost_lines

LogWriter.flush.__defaults__ = (60.0,)  # how long it waits at its end for a test that reads slowly: of itself two seconds
configure_logging("tester")
log = structlog.get_logger()
for number in range({lines}):
    log.info("said", number=number, filling={filling!r})
{end}
"""


def test_a_pipe_that_nobody_reads_stops_nobody_and_what_is_lost_is_counted():
    program = _TALKATIVE.format(
        lines=12_000, filling="x" * 100, end="print('went on', lost_lines(), file=sys.stderr)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        went_on = process.stderr.readline()  # nothing was read from the pipe until here
        numbers = [json.loads(line)["number"] for line in process.stdout]

    assert went_on.startswith("went on ")
    lost = int(went_on.split()[-1])
    assert 0 < lost < 12_000
    assert len(numbers) == 12_000 - lost
    assert numbers == sorted(numbers)


def test_the_last_lines_of_a_process_that_ends_are_written():
    for end in ("raise SystemExit(1)", "raise RuntimeError"):
        program = _TALKATIVE.format(lines=3_000, filling="x" * 100, end=end)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

        assert done.returncode == 1
        assert [json.loads(line)["number"] for line in done.stdout.splitlines()] == list(range(3_000))


def test_lines_of_several_processes_never_mix():
    program = _TALKATIVE.format(lines=2_000, filling="x" * 900, end="")
    reading, writing = os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", program], stdout=writing) for _ in range(3)]
    os.close(writing)
    # Until there is much in the pipe, so that they have to wait with what they write.
    half = fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) // 2
    while int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), sys.byteorder) < half:
        time.sleep(0.01)
    with os.fdopen(reading) as lines:
        numbers = Counter(json.loads(line)["number"] for line in lines)

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert set(numbers.values()) == {3}
