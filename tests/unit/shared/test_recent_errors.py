"""What a process remembers of its failures: that they were, and never with which value."""

import json
import subprocess
import sys

from shared.recent_errors import MOST, RecentErrors

_PROGRAM = """
import json, logging, structlog
from shared.logging import configure_logging, recent_errors

configure_logging("tester")
log = structlog.get_logger()
log.info("mail_accepted", bytes=5)
for _ in range(3):
    log.warning("mail_put_off", code="blobs_unavailable", address="canary@example.com", exc_info=ValueError("canary"))
log.error("expected_failure", code={"canary": 1}, exception="canary")
logging.getLogger("library").warning("cannot reach %s", "canary")
print(json.dumps(recent_errors()))
"""


def test_what_was_logged_last_is_known_by_name_kind_and_code_alone():
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    (told,) = (line for line in output.splitlines() if line.startswith("["))

    found = [
        (each["level"], each["event"], each["exception"], each["code"], each["count"])
        for each in json.loads(told)
    ]
    assert found == [
        ("warning", "line of library", None, None, 1),
        ("error", "expected_failure", None, None, 1),
        ("warning", "mail_put_off", "ValueError", "blobs_unavailable", 3),
    ]
    assert "canary" not in told


def test_only_the_last_kinds_are_kept_and_one_that_comes_again_counts():
    recent = RecentErrors()
    for number in range(MOST + 5):
        recent.note("warning", f"event_{number}", f"2026-01-01T00:00:{number:02}Z")
    recent.note("error", "event_20", "2026-01-02T00:00:00Z")
    recent.note("warning", "event_10", "2026-01-03T00:00:00Z")

    told = recent.facts()
    assert len(told) == MOST
    assert told[0] == {
        "event": "event_10", "level": "warning", "exception": None, "code": None,
        "first_at": "2026-01-01T00:00:10Z", "last_at": "2026-01-03T00:00:00Z", "count": 2,
    }  # fmt: skip
    assert "event_0" not in {each["event"] for each in told}
