"""What the mail worker counts of replies, for its metrics page. Every label has a closed set of values."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.outgoing.smtp import Stage
from shared.tables import ReplyFailure, ReplyState, ReplyTransport

_OUTCOMES = (ReplyState.HANDED_OVER, ReplyState.DELAYED, ReplyState.FAILED, ReplyState.PERHAPS_SENT)


class OutboundMetrics:
    """Counters of one worker process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.replies_signed = Gauge(
            "replyco_replies_signed", "1 if replies are signed for the mail domain, else 0", registry=registry
        )
        self.attempts = Counter(
            "replyco_reply_attempts",
            "Attempts to send a reply, by transport and by what the reply became",
            ["transport", "outcome"],
            registry=registry,
        )
        self.failures = Counter(
            "replyco_reply_failures", "Replies that failed for good, by reason", ["reason"], registry=registry
        )
        self.smarthost_failures = Counter(
            "replyco_smarthost_failures",
            "Attempts that the platform's smarthost is to blame for, by how far the session had come",
            ["stage"],
            registry=registry,
        )
        self.recovered = Counter(
            "replyco_replies_recovered",
            "Replies of workers that have died, by what they became",
            ["outcome"],
            registry=registry,
        )
        # What alarms look at is there from the beginning: from nothing to 1 would be no increase.
        for outcome in _OUTCOMES:
            for transport in ReplyTransport:
                self.attempts.labels(transport.value, outcome.value)
        for reason in ReplyFailure:
            self.failures.labels(reason.value)
        for stage in Stage:
            self.smarthost_failures.labels(stage.value)
        for outcome in (ReplyState.DELAYED, ReplyState.FAILED, ReplyState.PERHAPS_SENT):
            self.recovered.labels(outcome.value)
        self.smarthost_away = Gauge(
            "replyco_smarthost_away",
            "1 while the last attempt to use the platform's smarthost failed, or none is set",
            registry=registry,
        )
        self.in_hand = Gauge(
            "replyco_replies_in_hand", "Replies that this worker is sending", registry=registry
        )
        # Not a number while the database does not answer. Each worker tells the same number.
        self.due_age_seconds = Gauge(
            "replyco_replies_due_age_seconds",
            "How long the reply that is due longest waits to be sent",
            registry=registry,
        )
        self.perhaps_sent_open = Gauge(
            "replyco_replies_perhaps_sent_open",
            "Replies of which nobody knows whether they were sent, and about which no agent has decided",
            registry=registry,
        )
        self.connections = Counter(
            "replyco_reply_connections",
            "SMTP connections that were opened to send replies, by transport",
            ["transport"],
            registry=registry,
        )
        for transport in ReplyTransport:
            self.connections.labels(transport.value)
        self.seconds = Histogram(
            "replyco_reply_seconds",
            "From the time at which a reply was due to the server's 250",
            registry=registry,
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 14400),
        )
