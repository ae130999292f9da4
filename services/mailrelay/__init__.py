"""The mailrelay: accepts mail durably over SMTP, and makes conversations of it.

`serve` runs `process`, which stands on `smtp`, and that on `intake`; `worker` runs `delivery`. The processes that accept mail have
no key that opens it.
"""
