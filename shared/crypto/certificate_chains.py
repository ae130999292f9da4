"""When a chain of certificates ends, and whom it is for."""

from datetime import datetime

from cryptography import x509


def end_of_chain(pem: bytes) -> datetime | None:
    """The end of the first of its certificates to end: without one of them the chain is of no use. None where nobody but OpenSSL can read it."""
    try:
        return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem))
    except ValueError:
        return None


def names_of_chain(pem: bytes) -> frozenset[str]:
    """The host names that its first certificate is for (RFC 9525 §2), in lower case. None at all where nobody but OpenSSL can read it."""
    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return frozenset()
    return frozenset(name.lower() for name in named.get_values_for_type(x509.DNSName))
