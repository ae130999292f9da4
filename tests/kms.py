"""A key of AWS KMS on moto's server, and a stand-in that answers what it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
from pydantic import SecretStr

from shared.crypto.aws_kms import AwsKms, KmsAccess
from tests.no_tls import NO_AUTHORITIES
from tests.s3 import S3

REGION = "eu-central-1"
KEY_ID = "AKIDEXAMPLE"
SECRET = "canary-kms-secret"
# Of the account that moto's keys belong to; no such key is there.
ARN = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-4000-8000-000000000001"


def make_key(server: S3) -> str:
    """The ARN of a new key."""
    answer = httpx2.post(
        f"{server.endpoint}/",
        headers={
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "TrentService.CreateKey",
            # moto reads region and service from here.
            "authorization": f"AWS4-HMAC-SHA256 Credential=k/20260101/{REGION}/kms/aws4_request, SignedHeaders=host, Signature=x",
        },
        content=b"{}",
        verify=NO_AUTHORITIES,
    )
    return str(json.loads(answer.text)["KeyMetadata"]["Arn"])


def kms_of(key_arn: str, endpoint: str, *, try_seconds: float = 3.0) -> AwsKms:
    return AwsKms(KmsAccess(key_arn, KEY_ID, SecretStr(SECRET), endpoint), try_seconds=try_seconds)


def kms_environment(key_arn: str, endpoint: str) -> dict[str, str]:
    return {
        "REPLYCO_KMS_KEY": key_arn,
        "REPLYCO_KMS_ACCESS_KEY_ID": KEY_ID,
        "REPLYCO_KMS_SECRET_ACCESS_KEY": SECRET,
        "REPLYCO_KMS_ENDPOINT": endpoint,
    }


@dataclass
class Scripted:
    """Gives these answers, status and body, one after the other, and the last one for ever; None says nothing."""

    endpoint: str
    answers: Sequence[tuple[int, bytes] | None]
    asked: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def scripted(*answers: tuple[int, bytes] | None) -> AsyncIterator[Scripted]:
    script = Scripted("", answers)
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                [size] = [
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                script.asked.append(await reader.readexactly(size))
                given = script.answers[min(len(script.asked), len(script.answers)) - 1]
                if given is None:
                    await ended.wait()
                    return
                status, body = given
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    script.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        ended.set()
        server.close()
