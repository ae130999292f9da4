"""Why a signature proves nothing. The codes are stable: they are stored, counted, and keys of texts on the page."""

from enum import StrEnum


class Fault(StrEnum):
    """The faults that a signature can have."""

    BODY_CHANGED = "body_changed"
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_EXPIRED = "signature_expired"
    BODY_NOT_COVERED = "body_not_covered"
    HEADER_ADDED = "header_added"
    KEY_WEAK = "key_weak"
    ALGORITHM_REFUSED = "algorithm_refused"
    KEY_MISSING = "key_missing"
    KEY_REVOKED = "key_revoked"
    KEY_UNUSABLE = "key_unusable"
    SIGNATURE_MALFORMED = "signature_malformed"

    @property
    def result(self) -> str:
        """The result of the signature in the words of RFC 8601 §2.7.1."""
        return _RESULTS[self]

    @property
    def description(self) -> str:
        """The fault in words, for people who read the Authentication-Results field."""
        return self.value.replace("_", " ")


_RESULTS = {
    Fault.BODY_CHANGED: "fail",
    Fault.SIGNATURE_INVALID: "fail",
    Fault.SIGNATURE_EXPIRED: "policy",
    Fault.BODY_NOT_COVERED: "policy",
    Fault.HEADER_ADDED: "policy",
    Fault.KEY_WEAK: "policy",
    Fault.ALGORITHM_REFUSED: "policy",
    Fault.KEY_MISSING: "permerror",
    Fault.KEY_REVOKED: "permerror",
    Fault.KEY_UNUSABLE: "permerror",
    Fault.SIGNATURE_MALFORMED: "permerror",
}
