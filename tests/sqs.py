"""A queue of SQS on moto's server, and settings for it."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from pydantic import SecretStr

from services.connector.amazon.notice_queue import NoticeQueue
from services.connector.amazon.pausing import StopSwitch
from shared.aws_signing import AwsKey
from tests.no_tls import NO_AUTHORITIES
from tests.s3 import S3

REGION = "eu-central-1"
SECRET = "canary-aws-secret"
# moto reads the region from here.
_HEADERS = {
    "content-type": "application/x-amz-json-1.0",
    "authorization": f"AWS4-HMAC-SHA256 Credential=key/20260101/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=x",
}


@dataclass(frozen=True)
class Sqs:
    """One queue, as Amazon uses it that puts notices there."""

    url: str

    def put(self, notice: Any) -> None:
        body = notice if isinstance(notice, str) else json.dumps(notice)
        self._ask("SendMessage", MessageBody=body)

    def count(self) -> int:
        """All messages, those that are hidden for a while among them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._ask("GetQueueAttributes", AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return ask(self.url, operation, QueueUrl=self.url, **parameters)


def ask(url: str, operation: str, **parameters: Any) -> dict[str, Any]:
    address = httpx2.URL(url).copy_with(path="/")
    headers = {**_HEADERS, "x-amz-target": f"AmazonSQS.{operation}"}
    answer = httpx2.post(address, headers=headers, json=parameters, verify=NO_AUTHORITIES)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = json.loads(answer.text or "{}")
    return content


def make_queue(server: S3) -> Sqs:
    return Sqs(ask(server.endpoint, "CreateQueue", QueueName=f"notices-{uuid4().hex}")["QueueUrl"])


def open_queue(url: str, switch: StopSwitch | None = None) -> NoticeQueue:
    # One server has all that is there: nothing to wait for.
    return NoticeQueue(url, AwsKey("key", SecretStr(SECRET), REGION, "sqs"), switch, wait_seconds=0)
