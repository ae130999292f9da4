"""What our requests to Amazon look like, and how a server that hangs, breaks off or talks nonsense is met."""

import asyncio
import json
import re
import time
import tomllib
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from pydantic import SecretStr

from services.connector.amazon.access import Amazon, create_amazon
from services.connector.amazon.applications import rotate_client_secret
from services.connector.amazon.client import USER_AGENT, SellerApi, user_agent
from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    CodeRejected,
    GrantInvalid,
    Throttled,
)
from services.connector.amazon.sellers import get_marketplace_participations
from shared.marketplaces import Region
from tests.integration.connector.connecting import answering, http_answer

TOKENS = '{"access_token": "Atza|a", "refresh_token": "Atzr|r", "token_type": "bearer", "expires_in": 3600}'


def made_for(address: str) -> Amazon:
    return create_amazon("client-id", SecretStr("client-secret"), amazon_base_url=address)


def on_behalf(amazon: Amazon) -> SellerApi:
    return SellerApi(amazon.sp_api, Region.EU, "A1LAMPENLADEN7", SecretStr("Atza|a"))


def test_authlib_uses_the_one_http_library():
    assert httpx2.AsyncClient in AsyncOAuth2Client.__mro__


async def test_a_code_is_exchanged_with_the_credentials_in_the_body():
    seen: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        seen.append(request)
        return http_answer(200, TOKENS)

    async with answering(answer) as address:
        tokens = await made_for(address).lwa.exchange_code(SecretStr("code+/="), "https://app.example/cb")

    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api.amazon.com/auth/o2/token HTTP/1.1")
    assert b"authorization:" not in head.lower()
    assert parse_qs(body.decode()) == {
        "grant_type": ["authorization_code"],
        "code": ["code+/="],
        "redirect_uri": ["https://app.example/cb"],
        "client_id": ["client-id"],
        "client_secret": ["client-secret"],
    }
    assert tokens.access_token.get_secret_value() == "Atza|a"
    assert "Atz" not in repr(tokens)


async def test_a_refresh_keeps_to_its_grant_type_and_needs_no_new_refresh_token():
    seen: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        seen.append(request)
        return http_answer(200, '{"access_token": "Atza|a", "token_type": "bearer", "expires_in": 3600}')

    async with answering(answer) as address:
        tokens = await made_for(address).lwa.refresh(SecretStr("Atzr|old"))

    form = parse_qs(seen[0].partition(b"\r\n\r\n")[2].decode())
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["Atzr|old"])
    assert tokens.access_token.get_secret_value() == "Atza|a"


async def test_a_connection_that_breaks_off_is_never_retried_for_a_code():
    seen: list[bytes] = []

    async def break_off(request: bytes) -> None:
        seen.append(request)

    async with answering(break_off) as address:
        with pytest.raises(AmazonUnavailable):
            await made_for(address).lwa.exchange_code(SecretStr("code"), "https://app.example/cb")

    assert len(seen) == 1


async def test_nobody_listening_is_unavailable():
    async with answering(lambda _request: asyncio.sleep(0, None)) as address:
        pass

    with pytest.raises(AmazonUnavailable):
        await made_for(address).lwa.refresh(SecretStr("Atzr|r"))


async def test_a_server_that_never_answers_is_given_up_in_time():
    never = asyncio.Event()

    async def hang(_request: bytes) -> None:
        await never.wait()

    started = time.monotonic()
    async with answering(hang) as address:
        amazon = made_for(address)
        with pytest.raises(AmazonUnavailable):
            await amazon.lwa.exchange_code(SecretStr("code"), "https://app.example/cb")
        never.set()

    assert time.monotonic() - started < 40


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, '{"error": "invalid_grant"}', CodeRejected),
        (401, '{"error": "invalid_grant"}', CodeRejected),
        (200, '{"error": "invalid_grant"}', CodeRejected),
        (400, '{"message": "no error key"}', AmazonUnavailable),
        (302, TOKENS, AmazonUnavailable),
        (200, '{"access_token": 7, "expires_in": 3600}', AmazonUnavailable),
        (200, '{"access_token": "Atza|a", "expires_in": -1}', AmazonUnavailable),
        (200, '{"access_token": "' + "x" * 70_000 + '", "expires_in": 3600}', AmazonUnavailable),
    ],
)
async def test_the_error_field_decides_before_the_status(status: int, body: str, failure: type[Exception]):
    async def answer(_request: bytes) -> bytes:
        return http_answer(status, body)

    async with answering(answer) as address:
        with pytest.raises(failure) as caught:
            await made_for(address).lwa.exchange_code(SecretStr("code"), "https://app.example/cb")

    assert "Atza" not in str(caught.value)


async def test_an_invalid_refresh_token_is_another_error_than_an_invalid_code():
    async def answer(_request: bytes) -> bytes:
        return http_answer(400, '{"error": "invalid_grant"}')

    async with answering(answer) as address:
        with pytest.raises(GrantInvalid):
            await made_for(address).lwa.refresh(SecretStr("Atzr|r"))


async def test_a_call_carries_amazons_headers():
    seen: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        seen.append(request)
        return http_answer(200, '{"payload": []}')

    async with answering(answer) as address:
        amazon = made_for(address)
        store = await get_marketplace_participations(on_behalf(amazon))
        await amazon.close()

    head = seen[0].decode().lower()
    assert head.startswith("get /sellingpartnerapi-eu.amazon.com/sellers/v1/marketplaceparticipations")
    assert "x-amz-access-token: atza|a\r\n" in head
    assert re.search(r"user-agent: replyco/\S+ \(language=python/3\.\d+\.\d+; platform=\w+\)\r\n", head)
    assert not store.sells_somewhere


@pytest.mark.parametrize(
    "payload",
    [
        '[{"marketplace": {"id": "A1PA6795UKMFR9"}}]',
        '[{"marketplace": "A1PA6795UKMFR9", "participation": {}}]',
        '"DE"',
    ],
)
async def test_an_answer_of_another_form_is_an_error_and_not_an_empty_list(payload: str):
    async def answer(_request: bytes) -> bytes:
        return http_answer(200, f'{{"payload": {payload}}}')

    async with answering(answer) as address:
        amazon = made_for(address)
        with pytest.raises(AmazonUnavailable):
            await get_marketplace_participations(on_behalf(amazon))
        await amazon.close()


async def test_a_stores_name_has_nothing_that_no_database_takes():
    told = {"isParticipating": True, "hasSuspendedListings": False}
    row = {
        "marketplace": {"id": "A1PA6795UKMFR9"},
        "participation": told,
        "storeName": " Lampen\x00\ud800Laden ",
    }

    async def answer(_request: bytes) -> bytes:
        return http_answer(200, json.dumps({"payload": [row]}))

    async with answering(answer) as address:
        amazon = made_for(address)
        store = await get_marketplace_participations(on_behalf(amazon))
        await amazon.close()

    assert store.name == "Lampen  Laden"


async def test_an_answer_without_end_is_cut_off():
    async def answer(_request: bytes) -> bytes:
        return http_answer(200, '{"payload": "' + "x" * 5_000_000 + '"}')

    async with answering(answer) as address:
        amazon = made_for(address)
        with pytest.raises(AmazonUnavailable):
            await get_marketplace_participations(on_behalf(amazon))
        await amazon.close()


class TwoSecrets:
    async def newest_first(self) -> list[SecretStr]:
        return [SecretStr("new"), SecretStr("old")]


async def test_of_two_client_secrets_the_one_that_amazon_takes_is_found_and_remembered():
    seen: list[str] = []

    async def takes_the_old_one(request: bytes) -> bytes:
        seen.append(parse_qs(request.partition(b"\r\n\r\n")[2].decode())["client_secret"][0])
        if seen[-1] == "old":
            return http_answer(200, TOKENS)
        return http_answer(401, '{"error": "invalid_client"}')

    async with answering(takes_the_old_one) as address:
        amazon = create_amazon("client-id", TwoSecrets(), amazon_base_url=address)
        await amazon.lwa.exchange_code(SecretStr("code"), "https://app.example/cb")
        await amazon.lwa.refresh(SecretStr("Atzr|r"))
        await amazon.close()

    assert seen == ["new", "old", "old"]


async def test_if_amazon_takes_no_client_secret_each_was_tried_once():
    seen: list[bytes] = []

    async def take_none(request: bytes) -> bytes:
        seen.append(request)
        return http_answer(401, '{"error": "invalid_client"}')

    async with answering(take_none) as address:
        amazon = create_amazon("client-id", TwoSecrets(), amazon_base_url=address)
        with pytest.raises(ClientMisconfigured):
            await amazon.lwa.refresh(SecretStr("Atzr|r"))
        await amazon.close()

    assert len(seen) == 2


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [(204, "", None), (429, "{}", Throttled), (500, "", AmazonUnavailable), (400, "{}", ClientMisconfigured)],
)
async def test_a_rotation_of_the_client_secret_is_asked_for_exactly_once(
    status: int, body: str, failure: type[Exception] | None
):
    seen: list[str] = []

    async def answer(request: bytes) -> bytes:
        line, _, rest = request.partition(b"\r\n")
        seen.append(line.decode())
        if b"/auth/o2/token" in line:
            form = parse_qs(rest.partition(b"\r\n\r\n")[2].decode())
            assert form["grant_type"] == ["client_credentials"]
            assert form["scope"] == ["sellingpartnerapi::client_credential:rotation"]
            return http_answer(200, TOKENS)
        assert b"x-amz-access-token: Atza|a" in rest
        return http_answer(status, body)

    async with answering(answer) as address:
        amazon = made_for(address)
        if failure is None:
            await rotate_client_secret(amazon, Region.EU)
        else:
            with pytest.raises(failure):
                await rotate_client_secret(amazon, Region.EU)
        await amazon.close()

    assert [line.split("/")[0] for line in seen] == ["POST ", "POST "]
    assert seen[1].endswith("/applications/2023-11-30/clientSecret HTTP/1.1")


def test_the_user_agent_is_escaped_as_amazon_demands_and_never_too_long():
    assert (
        user_agent("1.0(beta)", Language="Python/3.11", Platform="Some;OS\n(x)")
        == r"Replyco/1.0\(beta) (Language=Python/3.11; Platform=Some\;OS(x\))"
    )
    with pytest.raises(ValueError, match="500"):
        user_agent("0.1", Language="x" * 500)


def test_the_user_agent_tells_the_projects_own_version():
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]

    assert USER_AGENT.startswith(f"Replyco/{project['version']} (Language=Python/")


async def test_reading_is_repeated_after_trouble_at_amazon_and_gives_up_after_three_times():
    answers = [http_answer(503, "<html></html>", "text/html"), http_answer(200, '{"payload": []}')]

    async def recover(_request: bytes) -> bytes:
        return answers.pop(0)

    async with answering(recover) as address:
        amazon = made_for(address)
        assert not (await get_marketplace_participations(on_behalf(amazon))).sells_somewhere
        answers = [http_answer(500, "{}")] * 4
        with pytest.raises(AmazonUnavailable):
            await get_marketplace_participations(on_behalf(amazon))
        await amazon.close()

    assert len(answers) == 1
