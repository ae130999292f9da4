"""Logs say what happened and where, never with which value."""

import json
import subprocess
import sys

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
