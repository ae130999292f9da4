"""An ID token, and whether it says what it has to (OpenID Connect Core §3.1.3.7): joserfc checks its signature and its times.

The algorithm is one of ours, never what the token wishes: `none`, and a public key that is taken for a secret, lead nowhere.
"""

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from services.connector.single_sign_on.attempts import is_hash_of
from services.connector.single_sign_on.metadata import ALGORITHMS
from shared.errors import Expected

Key = RSAKey | ECKey

# How far two clocks may be apart.
LEEWAY_SECONDS: Final = 60
_MAX_KEYS: Final = 50
_MAX_TOKEN: Final = 64 * 1024
# Shorter ones are broken, longer ones take long.
_RSA_BITS: Final = range(2048, 8193)
# Core §2: 255 ASCII characters at most.
_MAX_SUBJECT: Final = 255
_REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


class IdTokenInvalid(Expected):
    """The provider's ID token, or its answer, is not one to this attempt. `reason` is for logs and the audit log."""

    code = "id_token_invalid"


class KeyUnknown(Exception):
    """The token names a key that is none of these: perhaps the provider has new ones."""


@dataclass(frozen=True, slots=True)
class IdToken:
    """What a provider says of whoever has signed in there. `authenticated_at`: when they last proved who they are, if it says so."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    authenticated_at: datetime | None


def read_keys(document: Mapping[str, Any]) -> list[Key]:
    """The keys of a JWK Set that sign ID tokens with an algorithm of ours; others are passed over (RFC 7517 §5)."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        return []
    return [key for entry in entries[:_MAX_KEYS] if (key := _read_key(entry)) is not None]


def _read_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if entry.get("alg") not in {None, *ALGORITHMS}:
        return None
    # The public part alone: whatever else is in there is not ours to hold.
    try:
        if entry.get("kty") == "RSA":
            public = _only(entry, "kty", "n", "e", "kid")
            return RSAKey.import_key(public) if _bits(public["n"]) in _RSA_BITS else None
        if entry.get("kty") == "EC" and entry.get("crv") == "P-256":
            return ECKey.import_key(_only(entry, "kty", "crv", "x", "y", "kid"))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def _bits(encoded: str) -> int:
    return int.from_bytes(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))).bit_length()


def _only(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: entry[name] for name in names if isinstance(entry.get(name), str)}


def read_id_token(
    token: str,
    keys: Sequence[Key],
    *,
    issuer: str,
    client_id: str,
    nonce_hash: bytes,
    now: datetime,
) -> IdToken:
    """Raises IdTokenInvalid, and KeyUnknown before anything of it was believed."""
    claims = _verified(token, keys)
    _check_claims(claims, issuer=issuer, client_id=client_id, now=now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not is_hash_of(nonce, nonce_hash):
        raise IdTokenInvalid(reason="nonce")
    return IdToken(issuer, claims["sub"], claims, _auth_time(claims, now))


def _verified(token: str, keys: Sequence[Key]) -> dict[str, Any]:
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise IdTokenInvalid(reason="form")
    try:
        header = jws.extract_compact(token.encode(), registry=_REGISTRY).headers()
        if header.get("alg") not in ALGORITHMS:
            raise IdTokenInvalid(reason="algorithm")
        if str(header.get("typ", "JWT")).lower() != "jwt":
            # A logout token, an access token: signed by the same keys, and no ID token.
            raise IdTokenInvalid(reason="type")
        return jwt.decode(
            token, _key_of(header, keys), algorithms=list(ALGORITHMS), registry=_REGISTRY
        ).claims
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise IdTokenInvalid(reason="signature") from error


def _key_of(header: Mapping[str, Any], keys: Sequence[Key]) -> Key:
    kid = header.get("kid")
    fitting = [key for key in keys if isinstance(key, RSAKey) == (header["alg"] == "RS256")]
    if kid is None:
        # Core §10.1: without a name there is one key alone.
        if len(fitting) != 1:
            raise KeyUnknown
        return fitting[0]
    named = [key for key in fitting if key.get("kid") == kid]
    if not named:
        raise KeyUnknown
    return named[0]


def _check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, now: datetime) -> None:
    required = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "value": client_id},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        required.validate(dict(claims))
    except ClaimError as error:
        raise IdTokenInvalid(reason=error.claim) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise IdTokenInvalid(reason="claims") from error
    audience, party = claims["aud"], claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise IdTokenInvalid(reason="azp")
    if party is not None and not (
        # JSON can hold half a character, which no encoding has.
        isinstance(party, str)
        and hmac.compare_digest(party.encode("utf-8", "surrogatepass"), client_id.encode())
    ):
        raise IdTokenInvalid(reason="azp")
    subject = claims["sub"]
    if not (0 < len(subject) <= _MAX_SUBJECT and subject.isascii() and subject.isprintable()):
        raise IdTokenInvalid(reason="sub")


def _auth_time(claims: Mapping[str, Any], now: datetime) -> datetime | None:
    value = claims.get("auth_time")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return min(datetime.fromtimestamp(value, UTC), now)
    except (ValueError, OverflowError, OSError):
        return None
