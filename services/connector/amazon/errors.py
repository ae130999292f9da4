"""What can go wrong between us and Amazon, sorted by who has to act. Never holds a token, a code or Amazon's words."""

from shared.errors import Expected


class CodeRejected(Expected):
    """Amazon does not take this authorization code: too old, used already, or not meant for us."""

    code = "code_rejected"


class GrantInvalid(Expected):
    """Amazon does not take this refresh token. One such answer alone does not prove that the seller has withdrawn it."""

    code = "grant_invalid"


class ClientMisconfigured(Expected):
    """Our own credentials or our request are wrong: it concerns every seller at once, and none of them can cure it."""

    code = "client_misconfigured"


class AmazonUnavailable(Expected):
    """No usable answer: network, time-out, 5xx, something that is not JSON. After a code was sent, its fate is unknown."""

    code = "amazon_unavailable"


class Throttled(AmazonUnavailable):
    """Amazon answered 429: too many calls of this operation for this seller. `retry_after_seconds` says when there may be one again."""


class QuotaUsed(Throttled):
    """Amazon was not asked, because it would answer 429: by our own count this operation has had its calls. No trouble at all."""


class AnswerTooLarge(AmazonUnavailable):
    """The answer is longer than the call allows."""


class AmazonPaused(Expected):
    """The operators have stopped all calls to Amazon. Nothing was sent, and nothing is known to be wrong."""

    code = "amazon_paused"


class TokenRefused(Expected):
    """403: the access token is too old, revoked, or of another region."""

    code = "token_refused"


class RoleMissing(Expected):
    """403 without a reason: the application lacks a role, or the seller account is not active."""

    code = "role_missing"


class OrderUnknown(Expected):
    """404: Amazon knows no such order of this seller, or none any more."""

    code = "order_unknown"


class PageTokenRefused(Expected):
    """400: the token of a page is older than a day, or was sent with other parameters than those it was given for. Begin again."""

    code = "page_token_refused"


class ReportUnknown(Expected):
    """404: Amazon has no such report or document of this seller, or none any more."""

    code = "report_unknown"


class RestrictedRoleMissing(Expected):
    """The application may not see buyers' personal data in reports. Nothing is wrong with the store: it has other reports."""

    code = "restricted_role_missing"


class DocumentExpired(Expected):
    """The address of a report's document has ended after five minutes. Amazon gives a new one."""

    code = "document_expired"


class DocumentElsewhere(Expected):
    """The address of a report's document leads to a host that is none of Amazon's stores, or to an address that is not public."""

    code = "document_elsewhere"


class DocumentTooLarge(Expected):
    """A report's document is longer than the caller takes."""

    code = "document_too_large"
