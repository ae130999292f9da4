"""What can go wrong at Amazon: the list of scenarios, each with a name, and which of them are switched on.

A scenario may be limited to one seller, to one operation of the SP-API, and to a number of calls; without a number it
lasts until it is switched off. The code for each stands where it applies: consent, token endpoint, SP-API, mail.
"""

from dataclasses import dataclass
from typing import Final

from services.sandbox.state.order_scenarios import NOTICE_SCENARIOS, ORDER_SCENARIOS, REPORT_SCENARIOS

MAX_SWITCHES: Final = 2_000

OUTAGE_PAGE: Final = (
    "<html><head><title>503 Service Unavailable</title></head><body>Service Unavailable</body></html>"
)
_FORBIDDEN: Final = '{"errors":[{"code":"Unauthorized","message":"%s","details":"%s"}]}'
_DENIED: Final = "Access to requested resource is denied."


class UnknownScenario(KeyError):
    """There is no scenario of that name."""


class TooManySwitches(Exception):
    """As many scenarios are on as the sandbox allows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Amazon answers in place of the right answer. One that `hangs` comes only after the setting `hang_seconds`."""

    status: int
    body: str
    content_type: str = "application/json"
    rate_header: bool = False
    error_type: str = ""
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that can go wrong: the part of Amazon where it does, and what it does, in one sentence."""

    name: str
    part: str
    description: str


@dataclass(slots=True)
class Switch:
    """A scenario that is on. `left` counts down with each use; without it the scenario lasts until it is switched off.

    `words` are what Amazon's mail server says, `seconds` how long it waits, where a scenario is about that.
    """

    name: str
    seller_id: str | None
    operation: str | None
    left: int | None
    words: str | None = None
    seconds: float | None = None


# The codes that Amazon shows on its own page instead of the consent.
PAGE_CODES: Final = {
    "MD1000": "the application is a draft and version=beta is missing",
    "MD4100": "the application is not found",
    "MD5101": "the redirect URI is not registered",
    "MD5110": "the redirect URI has a fragment",
    "MD9100": "the application has no login URI or no redirect URI",
    "MD9999": "anything else",
    "SPDC8143": "the person is not the account's primary user",
    "SPSA0404": "the account is of a kind that the application does not support",
    "CONSENT_LIMIT_REACHED": "the application may not have more authorizations",
}

# What the Appstore sends as amazon_callback_uri instead of the genuine one. Only the first is Amazon's own doing.
CALLBACK_URIS: Final = {
    "callback-uri-relative": "/apps/authorize/confirm/{application_id}",
    "callback-uri-other-host": "https://{host}.evil.example/apps/authorize/confirm/{application_id}",
    "callback-uri-userinfo": "https://{host}@evil.example/apps/authorize/confirm/{application_id}",
    "callback-uri-fragment": "https://evil.example#@{host}/apps/authorize/confirm/{application_id}",
    "callback-uri-no-scheme": "//evil.example/apps/authorize/confirm/{application_id}",
    "callback-uri-port": "https://{host}:8443/apps/authorize/confirm/{application_id}",
    "callback-uri-http": "http://{host}/apps/authorize/confirm/{application_id}",
    "callback-uri-backslash": "https://evil.example\\@{host}/apps/authorize/confirm/{application_id}",
    "callback-uri-punycode": "https://xn--sellercentral-amazn-hbd.com/apps/authorize/confirm/{application_id}",
    "callback-uri-other-application": "https://{host}/apps/authorize/confirm/amzn1.sp.solution.other",
}

TOKEN_ANSWERS: Final = {
    # Without the key `error` a library may take it for a token.
    "token-429-json": Answer(429, '{"message":"Too Many Requests"}'),
    "token-429-html": Answer(429, "<html><body>Too Many Requests</body></html>", "text/html"),
    "token-503-html": Answer(503, OUTAGE_PAGE, "text/html"),
    "token-server-error": Answer(500, '{"error":"ServerError","error_description":"Internal error"}'),
    "token-hangs": Answer(503, OUTAGE_PAGE, "text/html", hangs=True),
    "token-empty": Answer(200, ""),
    "token-invalid-client": Answer(
        401, '{"error":"invalid_client","error_description":"Client authentication failed"}'
    ),
    "token-unauthorized-client": Answer(
        400, '{"error":"unauthorized_client","error_description":"Not authorized for requested operation"}'
    ),
}

_QUOTA: Final = '{"errors":[{"code":"QuotaExceeded","message":"You exceeded your quota for the requested resource.","details":""}]}'
API_ANSWERS: Final = {
    "api-token-expired": Answer(403, _FORBIDDEN % (_DENIED, "The access token you provided has expired.")),
    "api-token-revoked": Answer(
        403, _FORBIDDEN % (_DENIED, "The access token you provided is revoked, malformed or invalid.")
    ),
    "api-role-missing": Answer(403, _FORBIDDEN % (_DENIED, "")),
    "api-secret-expired": Answer(
        403, _FORBIDDEN % (_DENIED, "The LWA secret token you provided has expired.")
    ),
    "api-security-token-expired": Answer(
        403, _FORBIDDEN % ("The security token included in the request is expired", "")
    ),
    "api-429": Answer(429, _QUOTA, rate_header=True, error_type="TooManyRequestsException"),
    "api-429-without-rate": Answer(429, _QUOTA, error_type="TooManyRequestsException"),
    "api-500": Answer(
        500, '{"errors":[{"code":"InternalFailure","message":"We encountered an internal error."}]}'
    ),
    "api-503-html": Answer(503, OUTAGE_PAGE, "text/html"),
    "api-empty": Answer(200, ""),
    "api-hangs": Answer(503, OUTAGE_PAGE, "text/html", hangs=True),
}

REFUSAL_WORDS: Final = "550 5.7.1 Message rejected"
DEFERRAL_WORDS: Final = "451 4.3.0 Temporary local problem, please try again later"
# One line of an SMTP server that refuses, now or for good.
SMTP_WORDS: Final = r"^[45][0-9]{2} [\x20-\x7e]{1,400}$"
BOUNCE_WORDS: Final = "550 5.1.1 mailbox unavailable"
# Why a seller's message does not reach its buyer, as the mail says that Amazon answers with.
FAILURE_REASONS: Final = {
    "sender_not_approved": "names a sender that is not approved",
    "attachment_refused": "names a file that is not accepted",
    "buyer_opted_out": "says that the buyer wants no messages",
    "sender_restricted": "says that this seller may not send messages for now",
    "guideline_blocked": "says that the message breaks the guidelines",
    "message_limit": "says that the limit of messages is reached",
    "conversation_closed": "says that the conversation is closed",
    "too_large": "says that the message is too large",
}

# What a company's OpenID provider can do wrong.
SSO_SCENARIOS: Final = {
    "sso-discovery-500": "It does not say what it offers: 503 with an HTML page.",
    "sso-discovery-issuer": "It calls itself by the issuer of somebody else.",
    "sso-issuer-parameter": "Its answer names another issuer (iss).",
    "sso-issuer-parameter-missing": "Its answer names no issuer, although it says that it does.",
    "sso-not-asked-again": "It asks nobody who is there: auth_time is an hour ago.",
    "sso-no-auth-time": "It does not say when it has asked who is there.",
    "sso-500": "The token endpoint answers 500.",
    "sso-huge": "The token endpoint answers two megabytes.",
    "sso-redirects": "The token endpoint redirects to another server.",
    "sso-slow": "The token endpoint gives no answer for as long as the settings say.",
    "sso-other-issuer": "The ID token is of another issuer.",
    "sso-wrong-audience": "The ID token is for another client.",
    "sso-two-audiences": "The ID token is for another client, too, and does not say whose it is.",
    "sso-other-party": "The ID token was asked for by another client (azp).",
    "sso-wrong-nonce": "The ID token has another nonce.",
    "sso-no-nonce": "The ID token has no nonce.",
    "sso-expired": "The ID token expired an hour ago.",
    "sso-from-the-future": "The ID token was made in an hour.",
    "sso-alg-none": "The ID token is not signed (alg none).",
    "sso-hs256-with-public-key": "The ID token is signed with HS256, the public key being the secret.",
    "sso-altered": "The ID token was altered after it was signed.",
    "sso-key-rotated": "The ID token is signed with a new key, which the provider shows from then on.",
    "sso-key-unknown": "The ID token is signed with a key that the provider does not show.",
    "sso-email-unverified": "The ID token says that the address is not verified.",
    "sso-thin-token": "The ID token says no more than who it is; the rest is told beside it.",
    "sso-userinfo-of-another": "What is told beside the ID token is about somebody else.",
}

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "access-denied", "consent", "Cancel leads back with error=access_denied instead of nowhere."
        ),
        Scenario("code-missing", "consent", "Confirm leads back without a code."),
        Scenario("code-expired", "consent", "The code is more than five minutes old when it arrives."),
        Scenario(
            "callback-by-hand",
            "consent",
            "Confirm shows the way back as a link: to be opened twice, later, or in another browser.",
        ),
        Scenario(
            "other-seller",
            "consent",
            "The consent is given for another store of the region than the signed-in one.",
        ),
        Scenario("other-region", "consent", "The consent is given for a store of another region."),
        Scenario(
            "consent-through-login-uri",
            "consent",
            "Confirm opens the login URI with amazon_callback_uri instead of the redirect URI with a code.",
        ),
        Scenario(
            "redirect-uri-as-login-uri",
            "consent",
            "Confirm opens the redirect URI with amazon_callback_uri and without a code.",
        ),
        Scenario("draft", "consent", "The application is a draft: version=beta is needed, else MD1000."),
        *(
            Scenario(f"page-{code}", "consent", f"Amazon shows {code} instead of the consent: {why}.")
            for code, why in PAGE_CODES.items()
        ),
        Scenario(
            "callback-uri-relative",
            "appstore",
            "amazon_callback_uri has no host, as Amazon sometimes sends it.",
        ),
        *(
            Scenario(
                name, "appstore", f"amazon_callback_uri is a forged one: {uri.partition('/apps/')[0] or uri}."
            )
            for name, uri in CALLBACK_URIS.items()
            if name not in {"callback-uri-relative", "callback-uri-other-application"}
        ),
        Scenario(
            "callback-uri-other-application",
            "appstore",
            "amazon_callback_uri is meant for another application.",
        ),
        *(Scenario(name, "company", what) for name, what in SSO_SCENARIOS.items()),
        Scenario("token-429-json", "token", "429 with a JSON body that has no key `error`."),
        Scenario("token-429-html", "token", "429 with an HTML page."),
        Scenario("token-503-html", "token", "503 with an HTML page."),
        Scenario("token-server-error", "token", "500 with the error ServerError."),
        Scenario(
            "token-hangs", "token", "No answer for 30 seconds, or as long as the settings say; then 503."
        ),
        Scenario("token-empty", "token", "200 with nothing in it."),
        Scenario("token-no-refresh-token", "token", "The code is accepted, but no refresh token comes back."),
        Scenario(
            "token-new-refresh-token", "token", "A refresh brings another refresh token; the old one is dead."
        ),
        Scenario(
            "token-invalid-grant",
            "token",
            "A refresh meets invalid_grant: once with count 1, for good without a count.",
        ),
        Scenario(
            "token-invalid-client", "token", "invalid_client, as after a secret has expired: for everybody."
        ),
        Scenario(
            "token-unauthorized-client", "token", "unauthorized_client: the application may not do this."
        ),
        Scenario("api-token-expired", "api", "403: the access token has expired."),
        Scenario("api-token-revoked", "api", "403: the access token is revoked, malformed or invalid."),
        Scenario(
            "api-role-missing", "api", "403 without details: a role is missing, for one operation if named."
        ),
        Scenario("api-secret-expired", "api", "403: the application's client secret has expired."),
        Scenario(
            "api-security-token-expired",
            "api",
            "403 for every seller at once, as in Amazon's outage of May 2023.",
        ),
        Scenario("api-429", "api", "429 with the header x-amzn-RateLimit-Limit."),
        Scenario("api-429-without-rate", "api", "429 without that header."),
        Scenario("api-500", "api", "500 with Amazon's JSON."),
        Scenario("api-503-html", "api", "503 with an HTML page."),
        Scenario("api-empty", "api", "200 with nothing in it."),
        Scenario("api-hangs", "api", "No answer for 30 seconds, or as long as the settings say; then 503."),
        Scenario("participations-empty", "store", "The list of marketplaces is empty."),
        Scenario("participations-none", "store", "The store sells in none of its marketplaces any more."),
        Scenario(
            "participations-other-region", "store", "The region answers with marketplaces of another region."
        ),
        Scenario(
            "participations-other-store",
            "store",
            "The region answers with another store's name and countries.",
        ),
        Scenario("store-renamed", "store", "The store has another name."),
        Scenario("listings-suspended", "store", "Listings are suspended in every marketplace."),
        Scenario(
            "rotation-not-enrolled",
            "application",
            "rotateApplicationClientSecret: 400, no queue is registered.",
        ),
        Scenario(
            "personal-data-refused",
            "application",
            "createRestrictedDataToken: 400, the application lacks the role for what was asked.",
        ),
        *(
            Scenario(name, "mail server", what)
            for name, what in (
                ("smtp-closes", "The connection is closed before the greeting."),
                ("smtp-without-tls", "New connections are not offered STARTTLS."),
                ("smtp-requires-tls", "MAIL is refused without STARTTLS: 530 5.7.0."),
                ("smtp-refuses-sender", f"MAIL is refused with `words`, else {REFUSAL_WORDS}."),
                ("smtp-refuses-recipient", f"RCPT is refused with `words`, else {REFUSAL_WORDS}."),
                ("smtp-refuses-mail", f"The final dot is answered with `words`, else {REFUSAL_WORDS}."),
                ("smtp-defers-sender", f"MAIL is answered with `words`, else {DEFERRAL_WORDS}."),
                ("smtp-defers-recipient", f"RCPT is answered with `words`, else {DEFERRAL_WORDS}."),
                ("smtp-defers-mail", f"The final dot is answered with `words`, else {DEFERRAL_WORDS}."),
                (
                    "smtp-stalls-after-taking",
                    "The mail is taken, and the final dot is not answered before it is released.",
                ),
                ("smtp-stalls-without-taking", "The mail is lost, and the final dot is not answered."),
                (
                    "smtp-closes-after-taking",
                    "The mail is taken, and the connection closed without an answer.",
                ),
                (
                    "smtp-closes-without-taking",
                    "The mail is lost, and the connection closed at the final dot without an answer.",
                ),
            )
        ),
        *(
            Scenario(name, "replies", what)
            for name, what in (
                ("reply-not-shown", "250, and then nothing: the buyer does not have it, and nobody is told."),
                (
                    "reply-delayed",
                    "250, and the buyer has it when the clock is forward by `seconds`, else by 600, or when it is released.",
                ),
                (
                    "reply-bounces",
                    "250, and then a delivery report (RFC 3464) with `words`, else 550 5.1.1.",
                ),
                (
                    "reply-late-report",
                    "250 and the buyer has it, after a delivery report (RFC 3464) that it is delayed.",
                ),
                *(
                    (f"reply-fails-{reason.replace('_', '-')}", f"250, and then the mail that {what}.")
                    for reason, what in FAILURE_REASONS.items()
                ),
                (
                    "buyer-opted-out",
                    "The buyers want no messages but answers to their own: others come back with a mail that says so.",
                ),
                (
                    "notices-name-the-reply",
                    "Amazon's mails about a reply have its Message-ID in In-Reply-To and References.",
                ),
            )
        ),
        *(Scenario(name, "orders", what) for name, what in ORDER_SCENARIOS.items()),
        *(Scenario(name, "reports", what) for name, what in REPORT_SCENARIOS.items()),
        *(Scenario(name, "notices", what) for name, what in NOTICE_SCENARIOS.items()),
        Scenario("outage", "amazon", "All of Amazon answers 503 with an HTML page, its pages too."),
    )
}


class Scenarios:
    """The scenarios of one sandbox that are switched on."""

    def __init__(self) -> None:
        self._on: dict[tuple[str, str | None, str | None], Switch] = {}

    def switch_on(
        self,
        name: str,
        *,
        seller_id: str | None = None,
        operation: str | None = None,
        count: int | None = None,
        words: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Switch a scenario on, in place of the same one for the same seller and operation. Raises UnknownScenario, TooManySwitches."""
        if name not in SCENARIOS:
            raise UnknownScenario(name)
        if len(self._on) >= MAX_SWITCHES:
            raise TooManySwitches
        self._on[name, seller_id, operation] = Switch(name, seller_id, operation, count, words, seconds)

    def switch_off(self, name: str, *, seller_id: str | None = None) -> None:
        """Switch a scenario off, for one seller only if one is named. Raises UnknownScenario."""
        if name not in SCENARIOS:
            raise UnknownScenario(name)
        for key in [key for key in self._on if key[0] == name and seller_id in {None, key[1]}]:
            del self._on[key]

    def switch_all_off(self) -> None:
        self._on.clear()

    def now_on(self) -> list[Switch]:
        return list(self._on.values())

    def is_on(self, name: str, seller_id: str | None = None, operation: str | None = None) -> bool:
        """Whether the scenario applies now. Nothing is counted."""
        return self._find(name, seller_id, operation) is not None

    def happens(self, name: str, seller_id: str | None = None, operation: str | None = None) -> bool:
        """Whether the scenario applies now; if it has a count, one use of it is taken."""
        return self.use(name, seller_id, operation) is not None

    def use(self, name: str, seller_id: str | None = None, operation: str | None = None) -> Switch | None:
        """The scenario as it was switched on, if it applies now; if it has a count, one use of it is taken."""
        key = self._find(name, seller_id, operation)
        if key is None:
            return None
        switch = self._on[key]
        if switch.left is not None:
            switch.left -= 1
            if switch.left <= 0:
                del self._on[key]
        return switch

    def answer(
        self, answers: dict[str, Answer], seller_id: str | None = None, operation: str | None = None
    ) -> Answer | None:
        """The first of these answers whose scenario applies now, as `happens` decides."""
        for name, answer in answers.items():
            if self.happens(name, seller_id, operation):
                return answer
        return None

    def _find(
        self, name: str, seller_id: str | None, operation: str | None
    ) -> tuple[str, str | None, str | None] | None:
        for key in (
            (name, seller_id, operation),
            (name, seller_id, None),
            (name, None, operation),
            (name, None, None),
        ):
            if key in self._on:
                return key
        return None
