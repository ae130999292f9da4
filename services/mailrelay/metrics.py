"""The relay's metrics. Every label has a closed set of values."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.blobs import BlobsFull, BlobsUnavailable


class RelayMetrics:
    """The counters, gauges and histograms of one process that accepts mail."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sessions_open = Gauge("replyco_smtp_sessions_open", "Open SMTP sessions", registry=registry)
        self.sessions = Counter(
            "replyco_smtp_sessions", "SMTP sessions that ended, by reason", ["reason"], registry=registry
        )
        self.refusals = Counter(
            "replyco_smtp_refusals",
            "Replies 4yz and 5yz, by code and enhanced code",
            ["reply"],
            registry=registry,
        )
        self.limits = Counter(
            "replyco_smtp_limits",
            "Times that a limit delayed or refused, by limit",
            ["limit"],
            registry=registry,
        )
        for limit in ("address_rate", "network_rate"):
            self.limits.labels(limit)
        self.memory_bytes = Gauge(
            "replyco_smtp_memory_bytes", "Estimated memory of the mails in progress", registry=registry
        )
        self.handshakes = Counter(
            "replyco_smtp_tls_handshakes",
            "Handshakes after STARTTLS, by TLS version or failed",
            ["outcome"],
            registry=registry,
        )
        self.certificate_reloads = Counter(
            "replyco_smtp_certificate_reloads",
            "Changed certificate files, by whether they could be used",
            ["outcome"],
            registry=registry,
        )
        self.certificate_broken = Gauge(
            "replyco_smtp_certificate_broken",
            "1 while the certificate files cannot be used and the previous certificate stays in use",
            registry=registry,
        )
        self.certificate_ends = Gauge(
            "replyco_smtp_certificate_end_timestamp_seconds",
            "When the first of the certificates in use ends; not a number without STARTTLS",
            registry=registry,
        )
        self.certificate_ends.set(math.nan)
        self.mails = Counter("replyco_smtp_mails_accepted", "Mails answered 250", registry=registry)
        self.mail_bytes = Counter(
            "replyco_smtp_mail_bytes_accepted", "Bytes of the mails answered 250", registry=registry
        )
        self.accept_seconds = Histogram(
            "replyco_smtp_accept_seconds",
            "Time from the end of a mail to its 250",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "replyco_journal_commit_seconds",
            "Time of one journal transaction",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        self.batch_mails = Histogram(
            "replyco_journal_batch_mails",
            "Mails that shared one transaction",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=registry,
        )
        self.queued_bytes = Gauge(
            "replyco_journal_queued_bytes", "Bytes waiting for their commit", registry=registry
        )
        self.queue_age_seconds = Gauge(
            "replyco_journal_queue_age_seconds",
            "How long the oldest waiting mail has waited for its transaction",
            registry=registry,
        )
        self.journal_failures = Counter(
            "replyco_journal_failures", "Transactions that failed, by kind", ["kind"], registry=registry
        )
        # A counter that alarms watch must exist from the start: if it appeared with its first failure, Prometheus would see no increase.
        for kind in ("unavailable", "row"):
            self.journal_failures.labels(kind)
        self.blob_failures = Counter(
            "replyco_blob_failures",
            "Mails answered 451 because the blob store failed, by cause",
            ["code"],
            registry=registry,
        )
        for code in (BlobsUnavailable.code, BlobsFull.code):
            self.blob_failures.labels(code)
        self.listening = Gauge(
            "replyco_recipients_listening",
            "1 while notifications of changed addresses arrive, so that addresses may be cached",
            registry=registry,
        )
        self.lookups = Counter(
            "replyco_recipients_lookups",
            "Looked-up addresses, by where they were found",
            ["where"],
            registry=registry,
        )
