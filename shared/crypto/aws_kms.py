"""Key-encryption keys that never leave AWS KMS: data keys are wrapped and unwrapped there (docs/adr/0031).

Only `Encrypt` and `Decrypt` are asked, both of which may be asked again. What failed is named by Amazon's code; no answer's text, no key and no
secret gets into a log or an error.
"""

import asyncio
import json
import re
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import structlog
from pydantic import SecretStr

from shared.aws_signing import AwsKey, signed
from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyServiceUnavailable

log = structlog.get_logger()

_ARN: Final = re.compile(r"(arn:(aws|aws-cn|aws-us-gov):kms:([a-z0-9-]+):[0-9]{12}:key/)[A-Za-z0-9-]+")
_TIMEOUT: Final = httpx2.Timeout(3, connect=2)
# Of one try, with all that it waits for; three tries end within ten seconds.
_TRY_SECONDS: Final = 3.0
_PAUSES: Final = (0.1, 0.4)
# After all tries have failed, nobody waits as long again at once: whoever asks within this time is told so.
_AWAY_SECONDS: Final = 2.0
_MAX_ANSWER_BYTES: Final = 65_536
_LIMITS: Final = httpx2.Limits(max_connections=16)
_CODE: Final = re.compile(r"[A-Za-z]{1,60}")
# That key, context and ciphertext do not belong together.
_NOT_OURS: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
# They pass by themselves, like a 5xx.
_PASSES: Final = frozenset(
    {
        "ThrottlingException",
        "LimitExceededException",
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
    }
)


@dataclass(frozen=True, slots=True)
class KmsAccess:
    """Which key wraps, and who we are there. `endpoint`: None for AWS's own."""

    key_arn: str
    access_key_id: str
    secret: SecretStr
    endpoint: str | None = None


class AwsKms:
    """Wraps with one key of KMS, and unwraps with any key of the same account and region. Whoever made it closes it."""

    def __init__(self, access: KmsAccess, *, try_seconds: float = _TRY_SECONDS) -> None:
        found = _ARN.fullmatch(access.key_arn)
        if found is None:
            raise ValueError("no ARN of a key of KMS")
        self.key_arn = access.key_arn
        # A row of the database names the key to unwrap with: never one of somebody else's account.
        self._ours = found[1]
        self._key = AwsKey(access.access_key_id, access.secret, found[3], "kms")
        suffix = "amazonaws.com.cn" if found[2] == "aws-cn" else "amazonaws.com"
        self._address = httpx2.URL(access.endpoint or f"https://kms.{found[3]}.{suffix}").copy_with(path="/")
        self._try_seconds = try_seconds
        self._http: httpx2.AsyncClient | None = None
        self._away_until = 0.0
        self._away_reason = ""

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        answer = await self._ask(
            "Encrypt", "CiphertextBlob", KeyId=self.key_arn, Plaintext=_text(key), **_context(context)
        )
        return self.key_arn, answer

    async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        if not self.knows(wrapping_key_id):
            raise SealBroken(wrapping_key_id=wrapping_key_id)
        return await self._ask(
            "Decrypt", "Plaintext", KeyId=wrapping_key_id, CiphertextBlob=_text(wrapped), **_context(context)
        )

    def knows(self, wrapping_key_id: str) -> bool:
        return wrapping_key_id.startswith(self._ours) and _ARN.fullmatch(wrapping_key_id) is not None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _ask(self, operation: str, field: str, **parameters: Any) -> bytes:
        """The field of the answer. Raises SealBroken, KeyServiceUnavailable. Takes ten seconds at most."""
        if time.monotonic() < self._away_until:
            raise KeyServiceUnavailable(reason=self._away_reason)
        body, tries = json.dumps(parameters).encode(), 0
        while True:
            found, reason, status = await self._tried(operation, field, body)
            if found is not None:
                return found
            if reason in _NOT_OURS:
                raise SealBroken(wrapping_key_id=str(parameters["KeyId"]))
            passes = status >= 500 or reason in _PASSES
            if not passes or tries == len(_PAUSES):
                break
            await asyncio.sleep(_PAUSES[tries])
            tries += 1
        if passes:
            self._away_until, self._away_reason = time.monotonic() + _AWAY_SECONDS, reason
        log.error("key_service_unavailable", operation=operation, reason=reason, status=status)
        raise KeyServiceUnavailable(reason=reason)

    async def _tried(self, operation: str, field: str, body: bytes) -> tuple[bytes | None, str, int]:
        """What one try has found, or why it found nothing, with the status of the answer: 599 if there was none that makes sense."""
        try:
            answer = await self._try(operation, body)
            if answer.status_code != 200:
                return None, _code_of(answer), answer.status_code
            return b64decode(json.loads(answer.content)[field], validate=True), "", 200
        except (httpx2.HTTPError, TimeoutError) as error:
            return None, type(error).__name__, 599
        except (ValueError, KeyError, TypeError):
            return None, "not_an_answer", 599

    async def _try(self, operation: str, body: bytes) -> httpx2.Response:
        if self._http is None:
            # Made when it is first needed, in the loop that uses it.
            self._http = httpx2.AsyncClient(
                timeout=_TIMEOUT,
                limits=_LIMITS,
                verify=httpx2.create_ssl_context(trust_env=False),
                trust_env=False,
            )
        request = self._http.build_request("POST", self._address, content=body)
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{operation}"}
        request.headers.update(signed(self._key, request.headers["host"], headers, body, datetime.now(UTC)))
        async with asyncio.timeout(self._try_seconds):
            answer = await self._http.send(request, stream=True)
            try:
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _MAX_ANSWER_BYTES:
                        raise ValueError("too large")
            finally:
                await answer.aclose()
        return httpx2.Response(answer.status_code, content=bytes(content))


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _context(context: bytes) -> dict[str, Any]:
    """KMS binds what it wraps to it, and writes it into CloudTrail: ids alone."""
    return {"EncryptionContext": {"replyco": context.hex()}}


def _code_of(answer: httpx2.Response) -> str:
    """Such as AccessDeniedException, without its namespace."""
    try:
        code = str(json.loads(answer.content)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return "other"
    return code if _CODE.fullmatch(code) else "other"
