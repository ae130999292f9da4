"""Passkeys (Web Authentication Level 3): what a browser is asked for, and whether its answer is good.

The relying party is the host of `public_url`, and answers come from its origin alone, whatever the request says of itself.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from shared.errors import Expected

# WebAuthn §13.4.3 asks for 16 bytes at least.
_CHALLENGE_BYTES: Final = 32
# §13.4.5: it hides who there is. Longer ids are refused by the specification itself.
MAX_CREDENTIAL_ID: Final = 1023
_TRANSPORTS: Final = frozenset(transport.value for transport in AuthenticatorTransport)

Credential = Mapping[str, Any]


class PasskeyRefused(Expected):
    """Not a passkey of this person, not an answer to this question, or not from our pages; the answer never says which."""

    code = "passkey_refused"


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Ourselves, as browsers know us."""

    id: str
    origin: str

    @classmethod
    def at(cls, public_url: str) -> "RelyingParty":
        parts = urlsplit(public_url)
        return cls(id=parts.hostname or "", origin=f"{parts.scheme}://{parts.netloc.lower()}")


@dataclass(frozen=True, slots=True)
class KnownPasskey:
    """What is stored of a passkey."""

    credential_id: bytes
    transports: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What a browser has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]


@dataclass(frozen=True, slots=True)
class Assertion:
    """A good answer. `sign_count`: how often the device says that it has signed."""

    sign_count: int
    is_user_verified: bool


def new_challenge() -> bytes:
    return secrets.token_bytes(_CHALLENGE_BYTES)


def creation_options(
    party: RelyingParty,
    challenge: bytes,
    *,
    user_id: UUID,
    email: str,
    name: str,
    existing: Sequence[KnownPasskey],
) -> dict[str, Any]:
    """What `navigator.credentials.create` is called with, as JSON."""
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name="Replyco",
        user_id=user_id.bytes,
        user_name=email,
        user_display_name=name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            # Discoverable where the device can: then it is a whole sign-in. A plain security key is a second factor.
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_descriptors(existing),
    )
    return options_to_json_dict(options)


def request_options(
    party: RelyingParty, challenge: bytes, *, allowed: Sequence[KnownPasskey], is_verified: bool
) -> dict[str, Any]:
    """What `navigator.credentials.get` is called with, as JSON. Nothing `allowed`: the device says who is there."""
    needed = UserVerificationRequirement.REQUIRED if is_verified else UserVerificationRequirement.PREFERRED
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        allow_credentials=_descriptors(allowed),
        user_verification=needed,
    )
    return options_to_json_dict(options)


def credential_id_of(credential: Credential) -> bytes:
    """Which passkey answers. Raises PasskeyRefused."""
    raw_id = credential.get("rawId")
    try:
        found = base64url_to_bytes(raw_id) if isinstance(raw_id, str) else b""
    except ValueError:
        raise PasskeyRefused from None
    if not 0 < len(found) <= MAX_CREDENTIAL_ID:
        raise PasskeyRefused
    return found


def verify_new(party: RelyingParty, challenge: bytes, credential: Credential) -> NewPasskey:
    """Raises PasskeyRefused."""
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        # The library does not name every way in which an answer can be no answer.
        raise PasskeyRefused from error
    if not 0 < len(verified.credential_id) <= MAX_CREDENTIAL_ID:
        raise PasskeyRefused
    response = credential.get("response")
    said = response.get("transports") if isinstance(response, dict) else None
    transports = [each for each in said if each in _TRANSPORTS] if isinstance(said, list) else []
    return NewPasskey(
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        sorted(set(transports)),
    )


def verify_answer(
    party: RelyingParty, challenge: bytes, credential: Credential, *, public_key: bytes, is_verified: bool
) -> Assertion:
    """Whether this passkey has signed our challenge on our pages; `is_verified`: by somebody whom the device knows. Raises PasskeyRefused."""
    try:
        verified = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            # What its count says is looked at by whoever knows the stored one, and told.
            credential_current_sign_count=0,
            require_user_verification=is_verified,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PasskeyRefused from error
    return Assertion(verified.new_sign_count, verified.user_verified)


def user_handle_of(credential: Credential) -> bytes | None:
    """Whose passkey it is, as the device says. Raises PasskeyRefused."""
    response = credential.get("response")
    handle = response.get("userHandle") if isinstance(response, dict) else None
    if handle is None:
        return None
    try:
        return base64url_to_bytes(handle) if isinstance(handle, str) else None
    except ValueError:
        raise PasskeyRefused from None


def _descriptors(known: Sequence[KnownPasskey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=each.credential_id,
            transports=[AuthenticatorTransport(value) for value in each.transports if value in _TRANSPORTS],
        )
        for each in known
    ]
