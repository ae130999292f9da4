"""What the mail worker counts about replies, for its metrics page."""

from prometheus_client import CollectorRegistry, Gauge


class OutboundMetrics:
    """Figures of one worker process; the labels are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.replies_signed = Gauge(
            "replyco_replies_signed", "1 if replies are signed for the mail domain, else 0", registry=registry
        )
