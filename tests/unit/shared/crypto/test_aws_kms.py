"""Data keys wrapped by AWS KMS: on moto's server, and where KMS is away, slow, or refuses."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from shared.crypto.aws_kms import AwsKms
from shared.crypto.envelope import SealBroken
from shared.crypto.key_provider import KeyServiceUnavailable
from tests.kms import ARN, SECRET, kms_of, make_key, scripted
from tests.s3 import S3, s3_server

KEY = b"canary-data-key-of-thirty-2bytes"
CONTEXT = b"account_keys\0one"
WRAPPED = (200, json.dumps({"CiphertextBlob": b64encode(b"wrapped").decode()}).encode())
AWAY = (500, b'{"__type": "KMSInternalException"}')


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as running:
        yield running


@pytest.fixture
async def kms(server: S3) -> AsyncIterator[AwsKms]:
    made = kms_of(make_key(server), server.endpoint)
    yield made
    await made.close()


def refused(code: str) -> tuple[int, bytes]:
    return 400, json.dumps({"__type": f"com.amazonaws.kms#{code}", "message": "canary-message"}).encode()


async def test_what_it_wraps_it_unwraps_for_the_same_owner_alone(kms: AwsKms):
    key_id, wrapped = await kms.wrap(KEY, CONTEXT)

    assert key_id == kms.key_arn
    assert KEY not in wrapped
    assert await kms.unwrap(key_id, wrapped, CONTEXT) == KEY
    for context, altered in ((b"account_keys\0two", wrapped), (CONTEXT, wrapped[:-1] + b"x")):
        with pytest.raises(SealBroken):
            await kms.unwrap(key_id, altered, context)


async def test_an_older_key_of_the_same_account_still_unwraps(kms: AwsKms, server: S3):
    key_id, wrapped = await kms.wrap(KEY, CONTEXT)
    newer = kms_of(make_key(server), server.endpoint)

    assert newer.knows(key_id)
    assert await newer.unwrap(key_id, wrapped, CONTEXT) == KEY
    await newer.close()


@pytest.mark.parametrize(
    "key_id",
    [
        "k1",
        "",
        ARN.replace("123456789012", "999999999999"),
        ARN.replace("eu-central-1", "us-east-1"),
        ARN.replace(":key/", ":alias/"),
        f"{ARN}\n",
        f"{ARN}/../x",
    ],
)
async def test_no_row_makes_us_ask_for_a_key_of_somebody_else(key_id: str):
    async with scripted(WRAPPED) as script:
        kms = kms_of(ARN, script.endpoint)

        assert not kms.knows(key_id)
        with pytest.raises(SealBroken):
            await kms.unwrap(key_id, b"wrapped", CONTEXT)
        assert script.asked == []


async def test_what_passes_by_itself_is_tried_again():
    async with scripted(AWAY, refused("ThrottlingException"), WRAPPED) as script:
        kms = kms_of(ARN, script.endpoint)

        assert await kms.wrap(KEY, CONTEXT) == (ARN, b"wrapped")
        assert len(script.asked) == 3
        await kms.close()


async def test_kms_that_says_nothing_costs_three_tries_and_then_nobody_waits_again():
    async with scripted(None) as script:
        kms = kms_of(ARN, script.endpoint, try_seconds=0.5)

        for _ in range(3):
            with pytest.raises(KeyServiceUnavailable) as away:
                await kms.wrap(KEY, CONTEXT)
            assert away.value.fields == {"reason": "TimeoutError"}
        assert len(script.asked) == 3
        await kms.close()


@pytest.mark.parametrize("code", ["AccessDeniedException", "NotFoundException", "DisabledException"])
async def test_a_refusal_is_asked_for_once_and_named_without_a_word_of_the_answer(code: str):
    async with scripted(refused(code)) as script:
        kms = kms_of(ARN, script.endpoint)
        with capture_logs() as logs, pytest.raises(KeyServiceUnavailable) as away:
            await kms.wrap(KEY, CONTEXT)
        await kms.close()

    assert away.value.fields == {"reason": code}
    assert len(script.asked) == 1
    [line] = [entry for entry in logs if entry["event"] == "key_service_unavailable"]
    assert (line["reason"], line["operation"]) == (code, "Encrypt")
    told = f"{logs}{away.value!r}{vars(kms)}"
    for secret in (SECRET, "canary-message", KEY.decode(), b64encode(KEY).decode()):
        assert secret not in told


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"CiphertextBlob": 5}', b'{"CiphertextBlob": "%"}', b"x" * 70_000]
)
async def test_an_answer_that_makes_no_sense_is_none(body: bytes):
    async with scripted((200, body)) as script:
        kms = kms_of(ARN, script.endpoint)
        with pytest.raises(KeyServiceUnavailable) as away:
            await kms.wrap(KEY, CONTEXT)
        await kms.close()

    assert away.value.fields == {"reason": "not_an_answer"}
