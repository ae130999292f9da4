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
    """Amazon answered 429: too many calls of this operation for this seller."""


class TokenRefused(Expected):
    """403: the access token is too old, revoked, or of another region."""

    code = "token_refused"


class RoleMissing(Expected):
    """403 without a reason: the application lacks a role, or the seller account is not active."""

    code = "role_missing"
