"""A thin SP-API client: one GET with Amazon's headers, bounded in time and size, every answer sorted into a result or an error.

Status first, then JSON: a gateway's 503 page must never be read as an empty list. Bodies are never logged.
"""

import asyncio
import platform
import ssl
from typing import Any, Final

import httpx2
import structlog
from pydantic import SecretStr

from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    RoleMissing,
    Throttled,
    TokenRefused,
)
from services.connector.amazon.lwa import request_id_of
from shared.errors import Expected
from shared.marketplaces import Region, api_url, reach

log = structlog.get_logger()

_TIMEOUT: Final = httpx2.Timeout(8, connect=3)
_TOTAL_SECONDS: Final = 10
_MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
# Reading may be tried again after a network error or a 5xx; a 429 only much later, by whoever asked.
_PAUSES_SECONDS: Final = (0.2, 0.8)
# Amazon demands this form and the attribute Language.
_USER_AGENT: Final = (
    f"Replyco/0.1 (Language=Python/{platform.python_version()}; Platform={platform.system()})"
)


class SpApiClient:
    """One a process; whoever made it closes it."""

    def __init__(self, *, amazon_base_url: str | None, tls: ssl.SSLContext) -> None:
        self._amazon_base_url = amazon_base_url
        self._http = httpx2.AsyncClient(
            headers={"user-agent": _USER_AGENT, "accept": "application/json"},
            timeout=_TIMEOUT,
            verify=tls,
            trust_env=False,
            limits=httpx2.Limits(max_connections=50, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, region: Region, path: str, access_token: SecretStr) -> dict[str, Any]:
        """The JSON object that this operation answers.

        Raises AmazonUnavailable, Throttled, TokenRefused, RoleMissing, ClientMisconfigured.
        """
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return await self._get_once(region, path, access_token)
            except Expected as failure:
                again = isinstance(failure, AmazonUnavailable) and not isinstance(failure, Throttled)
                log.warning("sp_api_refused", path=path, region=region, code=failure.code, **failure.fields)
                if not again or pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError

    async def _get_once(self, region: Region, path: str, access_token: SecretStr) -> dict[str, Any]:
        url = reach(api_url(region) + path, self._amazon_base_url)
        headers = {"x-amz-access-token": access_token.get_secret_value()}
        try:
            async with (
                asyncio.timeout(_TOTAL_SECONDS),
                self._http.stream("GET", url, headers=headers) as answer,
            ):
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _MAX_ANSWER_BYTES:
                        raise AmazonUnavailable(reason="too_large", request_id=request_id_of(answer))
        except (httpx2.HTTPError, TimeoutError) as error:
            raise AmazonUnavailable(reason=type(error).__name__) from None
        body = _json_object(bytes(content))
        if answer.status_code == 200 and body is not None:
            return body
        raise _failure(answer, body)


def _failure(answer: httpx2.Response, body: dict[str, Any] | None) -> Expected:
    fields: dict[str, str | int] = {"status": answer.status_code, "request_id": request_id_of(answer)}
    if answer.status_code == 429:
        return Throttled(**fields)
    if answer.status_code == 403 and body is not None:
        return _forbidden(_details(body), fields)
    if 400 <= answer.status_code < 500 and body is not None:
        return ClientMisconfigured(**fields)
    return AmazonUnavailable(**fields)


def _forbidden(details: str, fields: dict[str, str | int]) -> Expected:
    """Amazon has one status for many things and tells them apart in words only."""
    if "LWA secret token" in details:
        return ClientMisconfigured(error="secret_expired", **fields)
    if "revoked, malformed or invalid" in details or "has expired" in details:
        return TokenRefused(**fields)
    return RoleMissing(**fields)


def _details(body: dict[str, Any]) -> str:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    details = first.get("details") if isinstance(first, dict) else None
    return details if isinstance(details, str) else ""


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        body = httpx2.Response(200, content=content).json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
