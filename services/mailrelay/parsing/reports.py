"""What a delivery status notification says (RFC 3464): which reply did not arrive, and why."""

from dataclasses import dataclass
from itertools import islice

from services.mailrelay.parsing.structure import Header, end_of_header, read_fields

# A reply has one recipient; a report about a list of them is not about one of ours.
MAX_RECIPIENTS = 20
MAX_FIELDS = 50


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One recipient's fate. `status` as in RFC 3463 (`5.1.1`); `diagnostic`, what the other server said."""

    has_failed: bool
    status: str | None
    diagnostic: str


def read_report(content: bytes) -> DeliveryReport | None:
    """The first recipient that was not reached, else the first one at all; None if the report names none."""
    recipients: list[DeliveryReport] = []
    # The first block is about the mail (§2.2), each other one about a recipient (§2.3).
    position = 0
    for _ in range(MAX_RECIPIENTS + 1):
        block_end, following = end_of_header(content, position, len(content))
        header = Header(list(islice(read_fields(content[position:block_end]), MAX_FIELDS)))
        position = following
        action = header.text("action")
        if action is not None:
            recipients.append(
                DeliveryReport(
                    # §2.3.3: `delayed`, `delivered`, `relayed` and `expanded` are no failures.
                    has_failed=action.lower() == "failed",
                    status=header.text("status"),
                    diagnostic=header.text("diagnostic-code") or "",
                )
            )
    failed = [recipient for recipient in recipients if recipient.has_failed]
    return next(iter(failed or recipients), None)
