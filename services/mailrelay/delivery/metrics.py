"""What the mail worker counts, for its metrics page."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.mailrelay.delivery.parser_pool import ParserDied, ParsingTookTooLong
from shared.lanes import Lane

# It comes from where mail came from that was slow (`suspects`).
SUSPECT: Final = "suspect"


class DeliveryMetrics:
    """Counters of one worker process; the labels are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.delivered = Counter(
            "replyco_mail_delivered", "Accepted mails that became messages", ["kind"], registry=registry
        )
        self.judged = Counter(
            "replyco_mail_judged",
            "Messages by whether they are Amazon's, and why",
            ["authenticity", "reason"],
            registry=registry,
        )
        # What alarms look at is there from the beginning: from nothing to 1 would be no increase.
        self.judged.labels("uncheckable", "dns_unavailable")
        self.judged.labels("forged", "signer_not_amazon")
        self.judged.labels("misdirected", "not_addressed_here")
        self.judged.labels("misdirected", "replayed")
        self.duplicates = Counter(
            "replyco_mail_duplicates", "Accepted mails that were copies of delivered ones", registry=registry
        )
        self.put_off = Counter(
            "replyco_mail_put_off",
            "Attempts to deliver that failed and are repeated, by cause",
            ["code"],
            registry=registry,
        )
        self.slow = Counter(
            "replyco_mail_slow",
            "Mails that were moved into the slow lane, by the lane that they came from, and why",
            ["lane", "code"],
            registry=registry,
        )
        for code in (ParsingTookTooLong.code, ParserDied.code, SUSPECT):
            self.slow.labels(Lane.QUICK.value, code)
        self.batches_failed = Counter(
            "replyco_mail_batches_failed",
            "Batches of mail that could not be stored together, so that each mail was delivered by itself",
            registry=registry,
        )
        self.held = Counter(
            "replyco_mail_held",
            "Mails that could not be delivered and wait for an operator",
            registry=registry,
        )
        self.blobs_swept = Counter(
            "replyco_blobs_swept", "Blobs without a row that were removed", registry=registry
        )
        self.sweep_put_off = Gauge(
            "replyco_blob_sweep_put_off",
            "1 while blobs without a row cannot be removed: the last sweep did not reach its end",
            registry=registry,
        )
        # Not a number while the database does not answer.
        self.queue_age_seconds = Gauge(
            "replyco_mail_queue_age_seconds",
            "How long the accepted mail that is due longest waits for a worker",
            registry=registry,
        )
        # Not a number while the database does not answer. Each worker tells the same number.
        self.stores_addressed_elsewhere = Gauge(
            "replyco_mail_stores_addressed_elsewhere",
            "Stores whose only mail of the last day Amazon has addressed to mailboxes that nobody has confirmed",
            registry=registry,
        )
        self.seconds = Histogram(
            "replyco_mail_delivery_seconds",
            "From the relay's 250 to the message being visible",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
        )
