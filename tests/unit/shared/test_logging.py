"""Logs say what happened and where, never with which value."""

import json
import subprocess
import sys
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
