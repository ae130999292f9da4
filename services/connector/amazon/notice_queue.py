"""The queue of SQS into which Amazon puts its notices to the application. A notice may hold a secret: no text of one is logged.

Amazon delivers at least once, and in any order.
"""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from services.connector.amazon.access import tls
from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured, Throttled
from services.connector.amazon.pausing import NeverPaused, StopSwitch
from services.connector.settings import ConnectorSettings
from shared.aws_signing import AwsKey, signed

_TIMEOUT: Final = httpx2.Timeout(12, connect=3)
_TOTAL_SECONDS: Final = 15
# Ten messages of a megabyte each, as JSON.
_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_BATCH: Final = 10
# A query that waits asks every server of the queue; one that does not may miss what is there.
_WAIT_SECONDS: Final = 2
# What is not removed until then is given out again.
_HIDDEN_SECONDS: Final = 300
_ERROR_NAME: Final = re.compile(r"[A-Za-z.]{1,80}")


@dataclass(frozen=True, slots=True)
class QueuedNotice:
    """A message of the queue. `receipt` removes it."""

    message_id: str
    body: SecretStr
    receipt: str = field(repr=False)


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message_id: str = Field(alias="MessageId", pattern=r"^[0-9A-Za-z-]{1,100}$")
    body: SecretStr = Field(alias="Body")
    receipt: str = Field(alias="ReceiptHandle", min_length=1)


class _Messages(BaseModel):
    model_config = ConfigDict(extra="ignore")

    messages: list[_Message] = Field(default=[], alias="Messages", max_length=_BATCH)


class NoticeQueue:
    """Whoever made it closes it. Every call raises AmazonUnavailable, Throttled, ClientMisconfigured, AmazonPaused."""

    def __init__(
        self, url: str, key: AwsKey, switch: StopSwitch | None = None, *, wait_seconds: int = _WAIT_SECONDS
    ) -> None:
        self._url = url
        self._key = key
        self._switch = switch or NeverPaused()
        self._wait_seconds = wait_seconds
        self._address = httpx2.URL(url).copy_with(path="/", query=None)
        self._http = httpx2.AsyncClient(timeout=_TIMEOUT, verify=tls(), trust_env=False)

    @property
    def arn(self) -> str:
        """The name by which Amazon's Notifications API knows the queue: its URL ends with account and name."""
        account, _, name = self._url.rstrip("/").rpartition("/")
        return f"arn:aws:sqs:{self._key.region}:{account.rpartition('/')[2]}:{name}"

    async def close(self) -> None:
        await self._http.aclose()

    async def receive(self) -> list[QueuedNotice]:
        """Up to ten notices, hidden from others for five minutes; none if none has come after `wait_seconds`."""
        body = await self._ask(
            "ReceiveMessage",
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=self._wait_seconds,
            VisibilityTimeout=_HIDDEN_SECONDS,
        )
        try:
            found = _Messages.model_validate_json(body).messages
        except ValidationError:
            raise AmazonUnavailable(operation="ReceiveMessage", reason="not_messages") from None
        return [QueuedNotice(each.message_id, each.body, each.receipt) for each in found]

    async def remove(self, notice: QueuedNotice) -> None:
        """Remove a notice from the queue for ever; doing it twice does no harm."""
        await self._ask("DeleteMessage", ReceiptHandle=notice.receipt)

    async def look(self) -> None:
        """Raises if the queue cannot be reached with this key. Changes nothing."""
        await self._ask("GetQueueAttributes", AttributeNames=["QueueArn"])

    async def _ask(self, operation: str, **parameters: Any) -> bytes:
        await self._switch.refuse_if_paused()
        request = self._http.build_request("POST", self._address, json={"QueueUrl": self._url, **parameters})
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{operation}"}
        request.headers.update(
            signed(self._key, request.headers["host"], headers, request.content, datetime.now(UTC))
        )
        content = bytearray()
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                answer = await self._http.send(request, stream=True)
                try:
                    async for chunk in answer.aiter_bytes():
                        content += chunk
                        if len(content) > _MAX_ANSWER_BYTES:
                            raise AmazonUnavailable(operation=operation, reason="too_large")
                finally:
                    await answer.aclose()
        except (httpx2.HTTPError, TimeoutError) as error:
            raise AmazonUnavailable(operation=operation, reason=type(error).__name__) from None
        if answer.status_code == 200:
            return bytes(content)
        fields: dict[str, str | int] = {"operation": operation, "status": answer.status_code}
        if answer.status_code >= 500:
            raise AmazonUnavailable(**fields)
        name = _error_name(bytes(content))
        if answer.status_code == 429 or "Throttl" in name:
            raise Throttled(**fields)
        raise ClientMisconfigured(error=name, **fields)


class _Refusal(BaseModel):
    model_config = ConfigDict(extra="ignore")

    kind: str = Field(alias="__type")


def _error_name(content: bytes) -> str:
    """Such as QueueDoesNotExist, without its namespace."""
    try:
        name = _Refusal.model_validate_json(content).kind.rpartition("#")[2]
    except ValidationError:
        return "other"
    return name if _ERROR_NAME.fullmatch(name) else "other"


def open_notice_queue(settings: ConnectorSettings, switch: StopSwitch | None = None) -> NoticeQueue | None:
    """The queue that the settings name, if they name one."""
    url, region = settings.amazon_notice_queue_url, settings.amazon_notice_queue_region
    key_id, secret = settings.amazon_notice_access_key_id, settings.amazon_notice_secret_access_key
    if url is None or region is None or key_id is None or secret is None:
        return None
    return NoticeQueue(url, AwsKey(key_id, secret, region, "sqs"), switch)
