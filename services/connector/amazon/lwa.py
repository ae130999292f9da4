"""Login with Amazon: one code for tokens, one refresh token for a new access token. Authlib does the token endpoint only.

Authlib takes a 429 with a JSON body for a token and guesses a grant type where the code is missing; the hooks below and the
explicit grant types rule that out. Each call has a client of its own, so that no token outlives it in memory.
"""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx2
import structlog
from authlib.integrations.httpx_client import AsyncOAuth2Client
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    CodeRejected,
    GrantInvalid,
    Throttled,
)
from services.connector.amazon.pausing import StopSwitch
from services.connector.amazon.secrets import Secrets
from shared.errors import Expected
from shared.marketplaces import LWA_ENDPOINT, reach

log = structlog.get_logger()

_TIMEOUT: Final = httpx2.Timeout(8, connect=3)
# For the whole call: a server that drips its answer byte by byte stays within each single time-out.
_TOTAL_SECONDS: Final = 10
_MAX_ANSWER_BYTES: Final = 64 * 1024
# The credentials go in the body, as Amazon wants them; Authlib's default is HTTP Basic.
_CLIENT_AUTH: Final = "client_secret_post"


class _TokenAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    # LWA's documentation allows 2,048 bytes.
    access_token: SecretStr = Field(min_length=1, max_length=4096)
    refresh_token: SecretStr | None = Field(None, min_length=1, max_length=4096)
    expires_in: int = Field(gt=0, le=24 * 3600)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What Amazon gave. `refresh_token` is None only where a refresh did not bring a new one."""

    access_token: SecretStr
    refresh_token: SecretStr | None
    lifetime: timedelta


class Lwa:
    """The token endpoint, for our one application."""

    def __init__(
        self,
        client_id: str,
        secrets: Secrets,
        *,
        amazon_base_url: str | None,
        tls: ssl.SSLContext,
        switch: StopSwitch,
    ) -> None:
        self._client_id = client_id
        self._secrets = secrets
        # The one that Amazon took last.
        self._taken: SecretStr | None = None
        self._url = reach(LWA_ENDPOINT, amazon_base_url)
        self._tls = tls
        self._switch = switch

    async def exchange_code(self, code: SecretStr, redirect_uri: str) -> Tokens:
        """Redeem a code, once and without a second try: a code is dead as soon as Amazon has seen it.

        Raises CodeRejected, ClientMisconfigured, AmazonUnavailable, AmazonPaused.
        """
        tokens = await self._call(
            CodeRejected,
            grant_type="authorization_code",
            code=code.get_secret_value(),
            redirect_uri=redirect_uri,
        )
        if tokens.refresh_token is None:
            raise AmazonUnavailable(reason="no_refresh_token")
        return tokens

    async def refresh(self, refresh_token: SecretStr) -> Tokens:
        """A new access token. Raises GrantInvalid, ClientMisconfigured, AmazonUnavailable, AmazonPaused."""
        return await self._call(
            GrantInvalid, grant_type="refresh_token", refresh_token=refresh_token.get_secret_value()
        )

    async def grantless(self, scope: str) -> SecretStr:
        """An access token for what concerns the application and no seller. Raises ClientMisconfigured, AmazonUnavailable, AmazonPaused."""
        tokens = await self._call(ClientMisconfigured, grant_type="client_credentials", scope=scope)
        return tokens.access_token

    async def _call(self, invalid_grant: type[Expected], *, grant_type: str, **fields: str) -> Tokens:
        """Try the secret that worked last; if Amazon refuses it, each of the others."""
        await self._switch.refuse_if_paused()
        known = await self._secrets.newest_first()
        refused = ClientMisconfigured(error="invalid_client")
        for secret in sorted(known, key=lambda secret: secret != self._taken):
            try:
                tokens = await self._call_with(secret, invalid_grant, grant_type=grant_type, **fields)
            except ClientMisconfigured as failure:
                refused = failure
                if failure.fields.get("error") != "invalid_client":
                    raise
            else:
                self._taken = secret
                return tokens
        raise refused

    async def _call_with(
        self, secret: SecretStr, invalid_grant: type[Expected], *, grant_type: str, **fields: str
    ) -> Tokens:
        def check(answer: httpx2.Response) -> httpx2.Response:
            _raise_unless_usable(answer, invalid_grant)
            return answer

        try:
            async with (
                asyncio.timeout(_TOTAL_SECONDS),
                AsyncOAuth2Client(
                    self._client_id,
                    secret.get_secret_value(),
                    token_endpoint_auth_method=_CLIENT_AUTH,
                    timeout=_TIMEOUT,
                    verify=self._tls,
                    trust_env=False,
                ) as client,
            ):
                client.register_compliance_hook("access_token_response", check)
                client.register_compliance_hook("refresh_token_response", check)
                if grant_type == "refresh_token":
                    answer = await client.refresh_token(self._url, **fields)
                else:
                    answer = await client.fetch_token(self._url, grant_type=grant_type, **fields)
        except Expected as failure:
            log.warning("lwa_refused", grant_type=grant_type, code=failure.code, **failure.fields)
            raise
        except (httpx2.HTTPError, TimeoutError) as error:
            log.warning("lwa_unreachable", grant_type=grant_type, error=type(error).__name__)
            raise AmazonUnavailable(reason="network") from None
        parsed = _TokenAnswer.model_validate(dict(answer))
        return Tokens(parsed.access_token, parsed.refresh_token, timedelta(seconds=parsed.expires_in))


def _raise_unless_usable(answer: httpx2.Response, invalid_grant: type[Expected]) -> None:
    """Decide by status, then JSON, then its `error`: some of Amazon's pages say 400 for everything, others do not."""
    fields: dict[str, str | int] = {"status": answer.status_code, "request_id": request_id_of(answer)}
    body = _json_object(answer)
    error = body.get("error")
    if answer.status_code == 429:
        raise Throttled(**fields)
    if answer.status_code >= 500 or body == {}:
        raise AmazonUnavailable(**fields)
    if error == "invalid_grant":
        raise invalid_grant(**fields)
    if error is not None or not answer.is_success:
        # invalid_client, unauthorized_client, invalid_request and the like: nothing that a seller could cure.
        known = error if error in _KNOWN_ERRORS else "other"
        raise ClientMisconfigured(error=known, **fields) if error is not None else AmazonUnavailable(**fields)
    try:
        _TokenAnswer.model_validate(body)
    except ValidationError:
        raise AmazonUnavailable(reason="not_a_token", **fields) from None


_KNOWN_ERRORS: Final = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request", "invalid_scope"}
)


def _json_object(answer: httpx2.Response) -> dict[str, Any]:
    if len(answer.content) > _MAX_ANSWER_BYTES:
        return {}
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def request_id_of(answer: httpx2.Response) -> str:
    """What Amazon's support asks for; bounded, because it is written into logs."""
    request_id = answer.headers.get("x-amzn-RequestId", "")
    return request_id if len(request_id) <= 100 and request_id.isascii() and request_id.isprintable() else ""
