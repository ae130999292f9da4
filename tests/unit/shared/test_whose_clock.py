"""Whatever ends, ends by PostgreSQL's clock: the code asks the machine's own one only where nothing is decided by it."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PLACES: Final = ("services/connector", "services/mailrelay", "shared")
MACHINES_CLOCK: Final = re.compile(r"\b(?:datetime\.(?:now|today|utcnow)|date\.today|time\.time(?:_ns)?)\(")
# Each with why.
ASKED: Final = {
    "services/connector/amazon/notice_queue.py": "Amazon compares a signature's time with its own clock",
    "services/connector/amazon_credentials/secrets.py": "a metric: how long a secret is valid",
    "services/connector/keys/commands.py": "how old keys are, as it is told to operators",
    "services/mailrelay/delivery/mail_key_commands.py": "when keys in files were made, without a database",
    "services/mailrelay/delivery/service.py": "a metric: how long mail took",
    "services/mailrelay/doctor/relay_checks.py": "how long a certificate is valid, as it is told to operators",
    "services/mailrelay/process/aggregated_status.py": "since when a process runs, as it is told to operators",
    "services/mailrelay/outbound/key_commands.py": "when keys in files were made, without a database",
    "services/mailrelay/smtp/trace.py": "what an operator reads beside other logs of the machine",
    "shared/crypto/aws_kms.py": "Amazon compares a signature's time with its own clock",
    "shared/crypto/key_provider.py": "when a key in a file was made, without a database",
    "shared/crypto/mail_key_files.py": "when a key in a file was made, without a database",
    "shared/doctor/database.py": "compares the two clocks",
    "shared/status/report.py": "since when a process runs, as it is told to operators",
    "shared/tracing_export.py": "when something was, as it is told to operators",
    "shared/database.py": "compares the two clocks",
}


def test_the_machines_own_clock_decides_nothing():
    asking = {
        str(path.relative_to(ROOT))
        for place in PLACES
        for path in (ROOT / place).rglob("*.py")
        if MACHINES_CLOCK.search(path.read_text("utf-8"))
    }

    # Whoever decides by the time asks `Sessions.now`. Whoever only tells it is named here.
    assert asking == ASKED.keys()
