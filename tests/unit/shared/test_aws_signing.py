"""Our signature is the one that AWS's own library makes."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from pydantic import SecretStr

from shared.aws_signing import AwsKey, signed

KEY = AwsKey("AKIDEXAMPLE", SecretStr("canary/+secret"), "eu-central-1", "sqs")
HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.ReceiveMessage"}


@pytest.mark.parametrize("host", ["sqs.eu-central-1.amazonaws.com", "localhost:4566"])
@pytest.mark.parametrize(
    "body", [b"", b'{"QueueUrl":"https://x/1/y","MaxNumberOfMessages":10}', "ü".encode()]
)
def test_our_signature_is_awss_own(host: str, body: bytes):
    theirs = AWSRequest("POST", f"https://{host}/", headers=HEADERS, data=body)
    SigV4Auth(
        Credentials(KEY.access_key_id, KEY.secret.get_secret_value()), KEY.service, KEY.region
    ).add_auth(theirs)
    at = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    ours = signed(KEY, host, HEADERS, body, at)

    assert ours["authorization"] == theirs.headers["Authorization"]
    assert "canary" not in f"{ours}{KEY}"
