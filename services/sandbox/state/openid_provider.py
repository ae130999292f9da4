"""What the sandbox's OpenID provider knows: the people of a company, its keys, and codes on their way through a browser."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from json import dumps
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

HOST: Final = "id.company.example"
CLIENT_SECRET: Final = "company-sandbox-only"  # noqa: S105 - of the sandbox, and of nobody else

Key = RSAKey | ECKey


@dataclass(frozen=True, slots=True)
class CompanyPerson:
    """Somebody with an account at the company. `methods`: how they have proven who they are (RFC 8176). `organization`: the domain of the company
    that has given them the account, as Google tells it (`hd`).
    """

    subject: str
    email: str
    name: str
    groups: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("pwd", "otp", "mfa")
    email_verified: bool = True
    organization: str | None = None


@dataclass(frozen=True, slots=True)
class OpenIdCode:
    """What a code is good for, once."""

    tenant: str
    client_id: str
    redirect_uri: str
    nonce: str
    challenge: str
    person: CompanyPerson
    authenticated_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class OpenIdProvider:
    """The provider with all its tenants; each tenant is an issuer of its own with the same people."""

    people: dict[str, CompanyPerson] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    codes: dict[str, OpenIdCode] = field(default_factory=dict)
    access_tokens: dict[str, CompanyPerson] = field(default_factory=dict)

    @classmethod
    def seeded(cls) -> "OpenIdProvider":
        people = (
            CompanyPerson("1001", "erika@lampenladen.example", "Erika Beispiel", ("support",)),
            CompanyPerson("1002", "max@lampenladen.example", "Max Muster", ("support", "it")),
            CompanyPerson("1003", "gast@fremd.example", "Gast Fremd", (), ("pwd",)),
        )
        return cls({person.subject: person for person in people}, [_first_key()])

    def new_code(self, code: OpenIdCode) -> str:
        text = secrets.token_urlsafe(24)
        while len(self.codes) >= 1_000:
            del self.codes[next(iter(self.codes))]
        self.codes[text] = code
        return text

    def new_access_token(self, person: CompanyPerson) -> str:
        text = secrets.token_urlsafe(24)
        while len(self.access_tokens) >= 1_000:
            del self.access_tokens[next(iter(self.access_tokens))]
        self.access_tokens[text] = person
        return text

    def rotate_key(self) -> None:
        """Sign with a new key from here on."""
        self.keys.append(_new_key())

    def sign(self, claims: Mapping[str, Any], *, is_shown: bool = True) -> str:
        """With a key that is not shown, if so it is wanted."""
        key = self.keys[-1] if is_shown else _new_key()
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        return jwt.encode({"alg": algorithm, "kid": key.kid}, dict(claims), key, algorithms=[algorithm])

    def sign_badly(self, claims: Mapping[str, Any], algorithm: str) -> str:
        """As an attacker would who has no key: with none, or with the public key as if it were a secret."""
        key = self.keys[0]
        header = {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
        signed = f"{_encoded(dumps(header).encode())}.{_encoded(dumps(dict(claims)).encode())}"
        if algorithm == "none":
            return f"{signed}."
        public = key.as_pem(private=False)
        return f"{signed}.{_encoded(hmac.digest(public, signed.encode(), 'sha256'))}"


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _new_key() -> ECKey:
    return ECKey.generate_key("P-256", parameters={"kid": secrets.token_hex(8)})


@cache
def _first_key() -> RSAKey:
    """One for all sandboxes of a process: making it takes long."""
    return RSAKey.generate_key(2048, parameters={"kid": "company-1"})
