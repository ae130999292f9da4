"""Counters of the questions to the DNS."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class DnsMetrics:
    """Counters of one process; the labels are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.remembered = Counter(
            "replyco_mail_dns_remembered",
            "Questions to the DNS whose answer was still known",
            registry=registry,
        )
        self.asked = Counter(
            "replyco_mail_dns_asked",
            "Questions that name servers were asked, by outcome",
            ["outcome"],
            registry=registry,
        )
        self.dead = Counter(
            "replyco_mail_dns_dead", "How often no name server answered at all", registry=registry
        )
        self.seconds = Histogram(
            "replyco_mail_dns_seconds",
            "How long a question to the DNS took",
            registry=registry,
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 6),
        )
