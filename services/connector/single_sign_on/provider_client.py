"""What we ask a provider: what it says of itself, its keys, a token for a code, and its word on a person.

Providers are servers that customers name: every address is checked as those of webhooks are, an answer has a bound, and a redirect is
followed nowhere. What a provider says of itself is kept for a while; keys that a token names and nobody knows are asked for, but not
again and again.
"""

import json
import ssl
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx2
import structlog

from services.connector.single_sign_on.id_tokens import Key, read_keys
from services.connector.single_sign_on.metadata import (
    Failure,
    Metadata,
    ProviderFailed,
    discovery_url,
    read_metadata,
)
from shared.marketplaces import reach
from shared.outgoing.connections import AnswerTooLong, HttpsAnswer, OutgoingConnections, OutgoingFailed
from shared.outgoing.hosts import HostInvalid, UrlInvalid, UrlPortNotAllowed

log = structlog.get_logger()

# The sandbox's provider, which is reached where the sandbox is.
STAND_IN_HOST: Final = "id.company.example"
# It has no TLS: reading the certificate authorities for each question took longer than the answer. This one trusts nobody.
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_MAX_BYTES: Final = 256 * 1024
_SECONDS: Final = 8.0
_KEPT: Final = 500
_FRESH_SECONDS: Final = 600.0
_FAILED_SECONDS: Final = 10.0
_NEW_KEYS_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was redeemed for. Neither is kept."""

    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(slots=True)
class _Known:
    """What is kept of an issuer. `failure`: the last try came to nothing, and the next one waits a moment."""

    asked_at: float
    metadata: Metadata | None = None
    failure: Failure | None = None
    keys: Sequence[Key] = ()
    keys_asked_at: float = 0.0
    new_keys_asked_at: float | None = None


class ProviderClient:
    """The client of a process."""

    def __init__(
        self,
        outgoing: OutgoingConnections,
        *,
        stand_in_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = _SECONDS,
        kept: int = _KEPT,
    ) -> None:
        self._outgoing = outgoing
        self._stand_in_url = stand_in_url
        self._clock = clock
        self._seconds = seconds
        self._kept = kept
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def in_browser(self, url: str) -> str:
        """The address at which a browser reaches this one."""
        return reach(url, self._stand_in_url) if self._is_stand_in(url) else url

    def issuer_url(self, entered: str) -> str:
        """The issuer, if it can be asked. Raises UrlInvalid, HostInvalid, UrlPortNotAllowed."""
        issuer = entered.strip()
        if "?" in issuer or "#" in issuer:
            # Discovery 1.0 §3: neither query nor fragment.
            raise UrlInvalid
        if not self._is_stand_in(issuer):
            self._outgoing.webhook_url(issuer)
        return issuer

    async def metadata(self, issuer: str) -> Metadata:
        """Raises ProviderFailed."""
        known = self._known.get(issuer)
        if known is not None:
            age = self._clock() - known.asked_at
            if known.metadata is not None and age < _FRESH_SECONDS:
                return known.metadata
            if known.failure is not None and age < _FAILED_SECONDS:
                raise ProviderFailed(known.failure)
        return await self.ask_metadata(issuer)

    async def ask_metadata(self, issuer: str) -> Metadata:
        """Ask anew, whatever is kept. Raises ProviderFailed."""
        before = self._known.get(issuer)
        known = _Known(self._clock(), new_keys_asked_at=before.new_keys_asked_at if before else None)
        self._known[issuer] = known
        self._known.move_to_end(issuer)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        try:
            known.metadata = read_metadata(issuer, await self._json("GET", discovery_url(issuer)))
        except ProviderFailed as failed:
            known.failure = failed.reason
            log.info("provider_failed", reason=failed.reason.value, step="discovery")
            raise
        return known.metadata

    async def keys(self, metadata: Metadata, *, is_unknown: bool = False) -> Sequence[Key]:
        """The keys that sign ID tokens. `is_unknown`: a token names another one; then they are asked for anew, once a minute at most.

        Raises ProviderFailed.
        """
        known = self._known.get(metadata.issuer)
        if known is None:
            known = self._known[metadata.issuer] = _Known(self._clock(), metadata)
        now = self._clock()
        asked_at = known.new_keys_asked_at if is_unknown else known.keys_asked_at
        fresh_seconds = _NEW_KEYS_SECONDS if is_unknown else _FRESH_SECONDS
        if known.keys and asked_at is not None and now - asked_at < fresh_seconds:
            return known.keys
        if is_unknown:
            known.new_keys_asked_at = now
        known.keys_asked_at = now
        known.keys = read_keys(await self._json("GET", metadata.jwks_uri))
        if not known.keys:
            raise ProviderFailed(Failure.NO_KEYS)
        return known.keys

    async def redeem(
        self,
        metadata: Metadata,
        *,
        client_id: str,
        client_secret: str,
        code: str,
        verifier: str,
        redirect: str,
    ) -> Tokens:
        """Tokens for a code, once and without a second try. Raises ProviderFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if metadata.takes_basic:
            # RFC 6749 §2.3.1: encoded as in a form first.
            pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": client_id, "client_secret": client_secret}
        answer = await self._exchange(
            "POST", metadata.token_endpoint, headers=headers, body=urlencode(form).encode()
        )
        said = _json_object(answer.body)
        if answer.status != 200:
            raise ProviderFailed(_token_failure(answer.status, said))
        id_token, access_token = said.get("id_token"), said.get("access_token")
        if not isinstance(id_token, str):
            raise ProviderFailed(Failure.NO_TOKEN)
        return Tokens(id_token, access_token if isinstance(access_token, str) else None)

    async def userinfo(self, metadata: Metadata, access_token: str) -> dict[str, Any]:
        """What the provider says of the person beside the ID token (OpenID Connect Core §5.3). Raises ProviderFailed."""
        if metadata.userinfo_endpoint is None or not (access_token.isascii() and access_token.isprintable()):
            return {}
        headers = {"authorization": f"Bearer {access_token}"}
        return await self._json("GET", metadata.userinfo_endpoint, headers)

    async def _json(self, method: str, url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self._exchange(method, url, headers=headers or {})
        if answer.status != 200:
            raise ProviderFailed(Failure.STATUS)
        said = _json_object(answer.body)
        if not said:
            raise ProviderFailed(Failure.NO_JSON)
        return said

    async def _exchange(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes = b""
    ) -> HttpsAnswer:
        headers = {"accept": "application/json", "user-agent": "Replyco", **headers}
        try:
            if self._is_stand_in(url):
                return await self._ask_stand_in(method, url, headers, body)
            return await self._outgoing.https_exchange(
                method, url, headers=headers, body=body, most_bytes=_MAX_BYTES, seconds=self._seconds
            )
        except OutgoingFailed as failed:
            raise ProviderFailed(Failure(failed.reason.value)) from None
        except AnswerTooLong:
            raise ProviderFailed(Failure.TOO_LONG) from None
        except (UrlInvalid, HostInvalid, UrlPortNotAllowed):
            raise ProviderFailed(Failure.ADDRESS_WRONG) from None

    def _is_stand_in(self, url: str) -> bool:
        return self._stand_in_url is not None and url.startswith(f"https://{STAND_IN_HOST}/")

    async def _ask_stand_in(self, method: str, url: str, headers: dict[str, str], body: bytes) -> HttpsAnswer:
        """The sandbox, which is on this machine and has no TLS; bounded alike."""
        content = bytearray()
        try:
            async with (
                httpx2.AsyncClient(verify=_NO_AUTHORITIES, trust_env=False, timeout=self._seconds) as client,
                client.stream(
                    method, reach(url, self._stand_in_url), headers=headers, content=body
                ) as answer,
            ):
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _MAX_BYTES:
                        raise ProviderFailed(Failure.TOO_LONG)
        except httpx2.TimeoutException:
            raise ProviderFailed(Failure.TIMEOUT) from None
        except httpx2.HTTPError:
            raise ProviderFailed(Failure.CONNECT) from None
        return HttpsAnswer(answer.status_code, bytes(content))


def _token_failure(status: int, said: dict[str, Any]) -> Failure:
    error = said.get("error")
    if error in {"invalid_client", "unauthorized_client"} or status == 401:
        return Failure.CLIENT_REFUSED
    return Failure.CODE_REFUSED if error == "invalid_grant" else Failure.STATUS


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
