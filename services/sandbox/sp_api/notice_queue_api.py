"""Three operations of SQS, for a connector that has no other queue: ReceiveMessage, DeleteMessage and GetQueueAttributes.

As at Amazon, all are one POST whose header names the operation and whose body names the queue by its URL:
`http://localhost:8090/123456789012/notices`. That a request is signed is looked at, by whom is not.
"""

import asyncio
import hashlib
import json
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.reports_api import settle_reports
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.notice_queues import NoSuchQueue, QueuedNotice

router = APIRouter()

_MAX_AT_ONCE: Final = 10
_MAX_WAIT_SECONDS: Final = 20
_MAX_HIDDEN_SECONDS: Final = 43_200
# Notices and reports also fall due by the clock, of which nobody tells those who wait.
_LOOK_EVERY_SECONDS: Final = 0.25
_Json = dict[str, Any]


class _Refused(Exception):
    def __init__(self, name: str, status: int = 400) -> None:
        super().__init__(name)
        self.name = name
        self.status = status


@router.post("/")
async def queue_operation(request: Request, sandbox: SandboxDep) -> JSONResponse:
    name = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
    if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
        return _error(_Refused("MissingAuthenticationToken", 403))
    try:
        return _answer(await _done(sandbox, name, _fields(await request.body())))
    except NoSuchQueue:
        return _error(_Refused("QueueDoesNotExist"))
    except _Refused as refused:
        return _error(refused)


def _fields(body: bytes) -> _Json:
    """The parameters, whatever the Content-Type says: SQS has one of its own for its JSON."""
    try:
        fields = json.loads(body)
    except ValueError:
        raise _Refused("SerializationException") from None
    return fields if isinstance(fields, dict) else {}


async def _done(sandbox: Sandbox, name: str, fields: _Json) -> _Json:
    queue = str(fields.get("QueueUrl", "")).rpartition("/")[2]
    queues = sandbox.notices.queues
    if name == "ReceiveMessage":
        return await _receive(sandbox, queue, fields)
    if name == "DeleteMessage":
        queues.remove(queue, str(fields.get("ReceiptHandle", "")))
        return {}
    if name == "GetQueueAttributes":
        count = len(queues.content(queue))
        arn = f"arn:aws:sqs:eu-west-1:123456789012:{queue}"
        return {"Attributes": {"QueueArn": arn, "ApproximateNumberOfMessages": str(count)}}
    raise _Refused("InvalidAction")


async def _receive(sandbox: Sandbox, queue: str, fields: _Json) -> _Json:
    most = _number(fields, "MaxNumberOfMessages", 1, _MAX_AT_ONCE)
    wait = _number(fields, "WaitTimeSeconds", 0, _MAX_WAIT_SECONDS)
    hidden = timedelta(seconds=_number(fields, "VisibilityTimeout", 30, _MAX_HIDDEN_SECONDS))
    queues, loop = sandbox.notices.queues, asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        settle_reports(sandbox)
        found = queues.receive(queue, sandbox.now(), most, hidden)
        left = until - loop.time()
        if found or left <= 0:
            return {"Messages": [_message(notice) for notice in found]} if found else {}
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LOOK_EVERY_SECONDS)):
                await queues.change()


def _message(notice: QueuedNotice) -> _Json:
    return {
        "MessageId": notice.message_id,
        "ReceiptHandle": notice.receipt,
        "Body": notice.body,
        "MD5OfBody": hashlib.md5(notice.body.encode(), usedforsecurity=False).hexdigest(),
    }


def _number(fields: _Json, name: str, default: int, most: int) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise _Refused("InvalidParameterValue")
    return value


def _answer(content: _Json, status: int = 200) -> JSONResponse:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return JSONResponse(content, status, headers, media_type="application/x-amz-json-1.0")


def _error(refused: _Refused) -> JSONResponse:
    return _answer({"__type": f"com.amazonaws.sqs#{refused.name}", "message": refused.name}, refused.status)
