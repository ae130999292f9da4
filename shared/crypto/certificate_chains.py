"""When a chain of certificates ends."""

from datetime import datetime

from cryptography import x509


def end_of_chain(pem: bytes) -> datetime | None:
    """The end of the first of its certificates to end: without one of them the chain is of no use. None where nobody but OpenSSL can read it."""
    try:
        return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem))
    except ValueError:
        return None
