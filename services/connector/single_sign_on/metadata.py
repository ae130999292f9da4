"""What a provider says of itself (OpenID Connect Discovery 1.0), and whether it can be signed in with."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from shared.errors import Expected

# Those that every provider has, and of which nobody mistakes a public key for a secret.
ALGORITHMS: Final = ("RS256", "ES256")
_MAX_URL: Final = 2000


class Failure(StrEnum):
    """Why a provider cannot be signed in with."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    STATUS = "status"
    TOO_LONG = "too_long"
    NO_JSON = "no_json"
    ISSUER_DIFFERS = "issuer_differs"
    ADDRESS_WRONG = "address_wrong"
    NO_CODE_FLOW = "no_code_flow"
    NO_PKCE = "no_pkce"
    NO_ALGORITHM = "no_algorithm"
    NO_CLIENT_SECRET = "no_client_secret"  # noqa: S105 - what is missing
    NO_KEYS = "no_keys"
    CLIENT_REFUSED = "client_refused"
    CODE_REFUSED = "code_refused"
    NO_TOKEN = "no_token"  # noqa: S105 - what is missing


class ProviderFailed(Expected):
    """The provider cannot be reached, or cannot be signed in with. Only the kind of failure is told, never what it said."""

    code = "provider_failed"

    def __init__(self, reason: Failure) -> None:
        super().__init__(reason=reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Metadata:
    """`names_issuer`: every answer has `iss` (RFC 9207). `takes_basic`: how we show the client secret."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    names_issuer: bool
    takes_basic: bool


def discovery_url(issuer: str) -> str:
    """Discovery 1.0 §4: behind the issuer, whatever its path."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_metadata(issuer: str, document: Mapping[str, Any]) -> Metadata:
    """Raises ProviderFailed."""
    if document.get("issuer") != issuer:
        # §4.3: exactly the same, or somebody else's words would be taken for the issuer's.
        raise ProviderFailed(Failure.ISSUER_DIFFERS)
    _require(document, "response_types_supported", {"code"}, Failure.NO_CODE_FLOW)
    # Whoever leaves it out may know it all the same (Microsoft does).
    _require(document, "code_challenge_methods_supported", {"S256"}, Failure.NO_PKCE)
    _require(document, "id_token_signing_alg_values_supported", set(ALGORITHMS), Failure.NO_ALGORITHM)
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if not isinstance(methods, list) or not {"client_secret_basic", "client_secret_post"} & set(
        map(str, methods)
    ):
        raise ProviderFailed(Failure.NO_CLIENT_SECRET)
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_address(document, "authorization_endpoint"),
        token_endpoint=_address(document, "token_endpoint"),
        jwks_uri=_address(document, "jwks_uri"),
        userinfo_endpoint=_address(document, "userinfo_endpoint")
        if document.get("userinfo_endpoint")
        else None,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        takes_basic="client_secret_basic" in methods,
    )


def _require(document: Mapping[str, Any], name: str, wanted: set[str], failure: Failure) -> None:
    supported = document.get(name)
    if supported is not None and not (
        isinstance(supported, list) and wanted & {each for each in supported if isinstance(each, str)}
    ):
        raise ProviderFailed(failure)


def _address(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not _is_https(value):
        raise ProviderFailed(Failure.ADDRESS_WRONG)
    return value


def _is_https(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return (
            len(value) <= _MAX_URL
            and value.isascii()
            and value.isprintable()
            and " " not in value
            and parts.scheme == "https"
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and not parts.fragment
            and "\\" not in value
        )
    except ValueError:
        return False
