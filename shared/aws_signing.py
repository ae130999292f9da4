"""AWS Signature Version 4, for a POST with a JSON body and no query: all that reading a queue of SQS takes.

An AWS SDK would bring ten megabytes, a thread for each call and a second HTTP stack for these thirty lines.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import SecretStr

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AwsKey:
    """An access key of AWS, and where it is used."""

    access_key_id: str
    secret: SecretStr
    region: str
    service: str


def signed(key: AwsKey, host: str, headers: dict[str, str], body: bytes, at: datetime) -> dict[str, str]:
    """`headers` with the ones that prove who asks. `at` is in UTC; Amazon takes it for some minutes.

    See "Create a signed AWS API request" in the AWS IAM User Guide. The path is `/`.
    """
    time = f"{at:%Y%m%dT%H%M%SZ}"
    proven = {
        **{name.lower(): value for name, value in headers.items()},
        "host": host,
        "x-amz-date": time,
    }
    names = ";".join(sorted(proven))
    request = "\n".join(
        (
            "POST",
            "/",
            "",
            *(f"{name}:{proven[name]}" for name in sorted(proven)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = (time[:8], key.region, key.service, "aws4_request")
    to_sign = "\n".join((_ALGORITHM, time, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()))
    signing_key = b"AWS4" + key.secret.get_secret_value().encode()
    for part in scope:
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    credential = "/".join((key.access_key_id, *scope))
    return {
        **proven,
        "authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }
