"""A thin SP-API client: one request with Amazon's headers, bounded in time and size, every answer sorted into a result or an error.

Status first, then JSON: a gateway's 503 page must never be read as an empty list. Bodies are never logged.
"""

import asyncio
import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx2
import stamina
import structlog
from pydantic import SecretStr

from services.connector.amazon.documents import Documents
from services.connector.amazon.errors import (
    AmazonUnavailable,
    AnswerTooLarge,
    ClientMisconfigured,
    RoleMissing,
    Throttled,
    TokenRefused,
)
from services.connector.amazon.lwa import request_id_of
from services.connector.amazon.pausing import StopSwitch
from services.connector.amazon.throttling import Throttle
from shared.errors import Expected
from shared.marketplaces import Region, api_url, reach
from shared.version import version

log = structlog.get_logger()

_CONNECT_SECONDS: Final = 3
_MAX_USER_AGENT_CHARS: Final = 500
_DONE: Final = frozenset({200, 201, 202})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long an answer may be, and how long it may take."""

    most_bytes: int = 4 * 1024 * 1024
    seconds: float = 10


_USUAL: Final = Bounds()


def user_agent(version: str, **attributes: str) -> str:
    """Amazon's form, in which some characters are escaped, and its greatest length. The attribute Language is a must."""
    escaped = "; ".join(
        f"{name}={_escaped(value, ');')}" for name, value in attributes.items() if value.isascii()
    )
    agent = f"Replyco/{_escaped(version, '(')} ({escaped})"
    if len(agent) > _MAX_USER_AGENT_CHARS:
        raise ValueError("Amazon refuses a user agent of more than 500 characters")
    return agent


def _escaped(value: str, special: str) -> str:
    return "".join(f"\\{each}" if each in "\\" + special else each for each in value if each.isprintable())


# Who is calling, as Amazon's Agent Policy wants it: our name and version, and what we run on. Nothing in it pretends to be anybody else.
USER_AGENT: Final = user_agent(
    version(), Language=f"Python/{platform.python_version()}", Platform=platform.system()
)


class SpApiClient:
    """The client of a process; its maker closes it."""

    def __init__(
        self, *, amazon_base_url: str | None, tls: ssl.SSLContext, throttle: Throttle, switch: StopSwitch
    ) -> None:
        self._amazon_base_url = amazon_base_url
        self._throttle = throttle
        self._switch = switch
        self.documents = Documents(
            amazon_base_url=amazon_base_url, tls=tls, user_agent=USER_AGENT, switch=switch
        )
        self._http = httpx2.AsyncClient(
            headers={"user-agent": USER_AGENT, "accept": "application/json"},
            verify=tls,
            trust_env=False,
            limits=httpx2.Limits(max_connections=50, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        await self._http.aclose()
        await self.documents.close()

    async def get(
        self, call: "Call", path: str, question: Mapping[str, str] | None = None, *, bounds: Bounds = _USUAL
    ) -> dict[str, Any]:
        """The JSON object that this operation answers. `question` becomes the query of the URL.

        Raises AmazonUnavailable, AnswerTooLarge, Throttled, TokenRefused, RoleMissing, ClientMisconfigured, AmazonPaused.
        """
        query = f"?{urlencode(question, quote_via=quote, safe=',')}" if question else ""
        return await self._repeatedly("GET", call, path + query, None, bounds)

    async def ask(self, call: "Call", path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What is read by a POST, because the question is too long for a URL. It leaves nothing behind and may be repeated.

        Raises what `get` raises.
        """
        return await self._repeatedly("POST", call, path, body, _USUAL)

    async def post(self, call: "Call", path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """An operation that is done at most once: never repeated, whatever was answered. Empty if Amazon answers nothing.

        Raises what `get` raises.
        """
        return await self._send("POST", call, path, body, _USUAL)

    async def _repeatedly(
        self, method: str, call: "Call", path: str, body: dict[str, Any] | None, bounds: Bounds
    ) -> dict[str, Any]:
        async for attempt in stamina.retry_context(
            on=_may_be_repeated, attempts=3, timeout=None, wait_initial=0.2, wait_max=1.0, wait_jitter=0.3
        ):
            with attempt:
                return await self._send(method, call, path, body, bounds)
        raise AssertionError

    async def _send(
        self, method: str, call: "Call", path: str, body: dict[str, Any] | None, bounds: Bounds
    ) -> dict[str, Any]:
        await self._switch.refuse_if_paused()
        try:
            await self._throttle.turn(call.region, call.quota_of, call.operation)
            return await self._exchange(method, call, path, body, bounds)
        except Expected as failure:
            log.warning("sp_api_refused", region=call.region, code=failure.code, **failure.fields)
            raise

    async def _exchange(
        self, method: str, call: "Call", path: str, body: dict[str, Any] | None, bounds: Bounds
    ) -> dict[str, Any]:
        url = reach(api_url(call.region) + path, self._amazon_base_url)
        headers = {"x-amz-access-token": call.access_token.get_secret_value()}
        timeout = httpx2.Timeout(bounds.seconds, connect=_CONNECT_SECONDS)
        try:
            async with (
                asyncio.timeout(bounds.seconds),
                self._http.stream(method, url, headers=headers, json=body, timeout=timeout) as answer,
            ):
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > bounds.most_bytes:
                        raise AnswerTooLarge(operation=call.operation, request_id=request_id_of(answer))
        except (httpx2.HTTPError, TimeoutError) as error:
            raise AmazonUnavailable(operation=call.operation, reason=type(error).__name__) from None
        told = answer.headers.get("x-amzn-RateLimit-Limit")
        self._throttle.learn(call.region, call.quota_of, call.operation, told)
        if answer.status_code == 429:
            seconds = await self._throttle.refused(call.region, call.quota_of, call.operation)
            raise Throttled(
                operation=call.operation,
                status=answer.status_code,
                request_id=request_id_of(answer),
                retry_after_seconds=seconds,
            )
        answered = _json_object(bytes(content))
        if answer.status_code in _DONE and answered is not None:
            return answered
        if answer.status_code == 204 and not content:
            return {}
        raise _failure(call.operation, answer, answered)


@dataclass(frozen=True, slots=True)
class Call:
    """Which operation, where and for whom. `quota_of` names whose share of Amazon's limits it takes; empty: the application's."""

    operation: str
    region: Region
    quota_of: str
    access_token: SecretStr


@dataclass(frozen=True, slots=True)
class SellerApi:
    """The SP-API as one seller has allowed it: what an operation needs, in one value. `quota_of`: `quota_of_seller`."""

    client: SpApiClient
    region: Region
    quota_of: str
    access_token: SecretStr
    # The operations that have been answered.
    answered: set[str] = field(default_factory=set)

    async def get(
        self,
        operation: str,
        path: str,
        question: Mapping[str, str] | None = None,
        *,
        bounds: Bounds = _USUAL,
    ) -> dict[str, Any]:
        """See `SpApiClient.get`."""
        answer = await self.client.get(self._call(operation), path, question, bounds=bounds)
        self.answered.add(operation)
        return answer

    async def ask(self, operation: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """See `SpApiClient.ask`."""
        answer = await self.client.ask(self._call(operation), path, body)
        self.answered.add(operation)
        return answer

    async def post(self, operation: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """See `SpApiClient.post`."""
        answer = await self.client.post(self._call(operation), path, body)
        self.answered.add(operation)
        return answer

    def _call(self, operation: str) -> Call:
        return Call(operation, self.region, self.quota_of, self.access_token)


def quota_of_seller(account_id: UUID, seller_id: str) -> str:
    """Whose share of Amazon's limits a seller's calls take. Only within the account: the seller's id came through a browser, and nobody
    may use up what belongs to another account's store by naming it.
    """
    return f"{account_id}:{seller_id}"


def _may_be_repeated(error: Exception) -> bool:
    """Whether to try again at once: after a network error or a 5xx; not after a 429, nor if the same would be too long again."""
    return isinstance(error, AmazonUnavailable) and not isinstance(error, Throttled | AnswerTooLarge)


def _failure(operation: str, answer: httpx2.Response, body: dict[str, Any] | None) -> Expected:
    fields: dict[str, str | int] = {
        "operation": operation,
        "status": answer.status_code,
        "request_id": request_id_of(answer),
    }
    if answer.status_code == 403 and body is not None:
        return _forbidden(_said(body, "details"), _said(body, "message"), fields)
    if answer.status_code == 400 and body is not None and "not have access to" in _said(body, "message"):
        # The Tokens API does not say 403 when the application lacks the role for personal data (models issue 1723).
        return RoleMissing(**fields)
    if 400 <= answer.status_code < 500 and body is not None:
        return ClientMisconfigured(**fields)
    return AmazonUnavailable(**fields)


def _forbidden(details: str, message: str, fields: dict[str, str | int]) -> Expected:
    """Amazon has one status for many things and tells them apart in words only."""
    if "LWA secret token" in details:
        return ClientMisconfigured(error="secret_expired", **fields)
    if "revoked, malformed or invalid" in details or "has expired" in details:
        return TokenRefused(**fields)
    if "security token included in the request is expired" in message:
        # No token of ours: Amazon's own behind its gateway, as for every seller at once on 2023-05-27.
        return AmazonUnavailable(**fields)
    return RoleMissing(**fields)


def _said(body: dict[str, Any], part: str) -> str:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    words = first.get(part) if isinstance(first, dict) else None
    return words if isinstance(words, str) else ""


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        body = httpx2.Response(200, content=content).json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
