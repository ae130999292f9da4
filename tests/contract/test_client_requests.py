"""The connector's side: what it asks fits Amazon's published models, and it understands what they may answer."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from services.connector.amazon.access import Amazon as Access
from services.connector.amazon.access import create_amazon
from services.connector.amazon.applications import rotate_client_secret
from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import ClientMisconfigured, RoleMissing
from services.connector.amazon.restricted_data_tokens import RestrictedResource, create_restricted_data_token
from services.connector.amazon.sellers import get_marketplace_participations
from services.sandbox.state.roles import RestrictedRole
from shared.errors import Expected
from shared.marketplaces import Region
from tests.contract.conftest import Amazon, Recorded
from tests.contract.models import PublishedOperation
from tests.integration.connector.connecting import answering, http_answer

Operations = dict[str, PublishedOperation]

# AppName/Version (Language=…), as Amazon's page on the user agent has it.
USER_AGENT = re.compile(
    r"[^/\s()\\]+/[^\s()\\;]+ \((?:[A-Za-z]+=[^;()\\]+; )*Language=[^;()\\]+(?:; [A-Za-z]+=[^;()\\]+)*\)"
)


@pytest.fixture
async def access(amazon: Amazon) -> AsyncIterator[Access]:
    """The connector's way to Amazon."""
    settings = amazon.state.settings
    made = create_amazon(settings.client_id, settings.client_secret, amazon_base_url=amazon.url)
    yield made
    await made.close()


def assert_is_published(request: Recorded, operations: Operations) -> None:
    """A request to the SP-API is one of Amazon's operations, with its parameters and the headers that Amazon asks for."""
    [operation] = [o for o in operations.values() if o.matches(request.method, request.path)]
    operation.assert_request_fits(request.query, request.content)
    assert request.headers["x-amz-access-token"]
    assert USER_AGENT.fullmatch(request.headers["user-agent"])
    assert len(request.headers["user-agent"]) <= 500
    assert "authorization" not in request.headers
    if request.content:
        assert request.headers["content-type"].startswith("application/json")


def sent_to_the_sp_api(amazon: Amazon) -> list[Recorded]:
    return [request for request in amazon.recorder.requests if request.host.startswith("sellingpartnerapi-")]


async def test_participations_are_asked_for_as_published(
    operations: Operations, amazon: Amazon, access: Access
) -> None:
    token = SecretStr(await amazon.seller_token("A1LAMPENLADEN7"))

    store = await get_marketplace_participations(SellerApi(access.sp_api, Region.EU, "A1LAMPENLADEN7", token))

    [request] = sent_to_the_sp_api(amazon)
    assert_is_published(request, operations)
    assert request.host == "sellingpartnerapi-eu.amazon.com"
    assert (store.name, len(store.participations)) == ("Lampenladen", 3)


async def test_token_requests_have_the_form_that_amazon_documents(amazon: Amazon, access: Access) -> None:
    redirect_uri = amazon.state.settings.redirect_uris[0]
    code = await amazon.code("A1LAMPENLADEN7")
    amazon.recorder.requests.clear()

    tokens = await access.lwa.exchange_code(SecretStr(code), redirect_uri)
    assert tokens.refresh_token is not None
    await access.lwa.refresh(tokens.refresh_token)

    exchange, refresh = amazon.recorder.requests
    for request in (exchange, refresh):
        assert (request.method, request.host, request.path) == ("POST", "api.amazon.com", "/auth/o2/token")
        assert request.query == ""
        assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert "authorization" not in request.headers
    credentials = {"client_id", "client_secret", "grant_type"}
    assert set(parse_qs(exchange.content.decode())) == credentials | {"code", "redirect_uri"}
    assert set(parse_qs(refresh.content.decode())) == credentials | {"refresh_token"}


async def test_rotation_of_the_client_secret_is_asked_for_as_published(
    operations: Operations, amazon: Amazon, access: Access
) -> None:
    await rotate_client_secret(access, Region.EU)

    [token_request, _] = amazon.recorder.requests
    assert parse_qs(token_request.content.decode())["scope"] == [
        "sellingpartnerapi::client_credential:rotation"
    ]
    [request] = sent_to_the_sp_api(amazon)
    assert_is_published(request, operations)
    assert len(amazon.state.notifications) == 1


async def test_published_refusal_of_a_rotation_is_the_operators_to_cure(
    operations: Operations, amazon: Amazon, access: Access
) -> None:
    assert operations["rotateApplicationClientSecret"].examples(400)
    amazon.state.scenarios.switch_on("rotation-not-enrolled")

    with pytest.raises(ClientMisconfigured):
        await rotate_client_secret(access, Region.EU)


ADDRESSES = RestrictedResource(
    method="GET", path="/orders/v0/orders", data_elements=("buyerInfo", "shippingAddress")
)
DOCUMENT = RestrictedResource(method="GET", path="/reports/2021-06-30/documents/amzn1.spdoc.1.4.eu.abc-1")


async def test_restricted_data_tokens_are_asked_for_as_published(
    operations: Operations, amazon: Amazon, access: Access
) -> None:
    token = SecretStr(await amazon.seller_token("A1LAMPENLADEN7"))
    api = SellerApi(access.sp_api, Region.EU, "A1LAMPENLADEN7", token)
    amazon.state.restricted_roles = frozenset(RestrictedRole)

    given = await create_restricted_data_token(api, [ADDRESSES, DOCUMENT])

    [request] = sent_to_the_sp_api(amazon)
    assert_is_published(request, operations)
    assert json.loads(request.content)["restrictedResources"][1] == {"method": "GET", "path": DOCUMENT.path}
    assert given.value.get_secret_value().startswith("Atz.sprdt|")
    assert given.lifetime == timedelta(hours=1)


async def test_personal_data_that_the_application_may_not_see_are_a_missing_role(
    operations: Operations, amazon: Amazon, access: Access
) -> None:
    token = SecretStr(await amazon.seller_token("A1LAMPENLADEN7"))
    api = SellerApi(access.sp_api, Region.EU, "A1LAMPENLADEN7", token)
    amazon.state.scenarios.switch_on("personal-data-refused")

    with pytest.raises(RoleMissing):
        await create_restricted_data_token(api, [ADDRESSES])

    [request] = sent_to_the_sp_api(amazon)
    assert_is_published(request, operations)
    assert api.answered == set()


@pytest.mark.parametrize("number", [0, 1])
async def test_amazons_own_examples_of_a_restricted_data_token_are_understood(
    operations: Operations, number: int
) -> None:
    example = operations["createRestrictedDataToken"].examples(200)[number]

    async def answer(_request: bytes) -> bytes:
        return http_answer(200, json.dumps(example))

    async with answering(answer) as address:
        access = create_amazon("id", SecretStr("secret"), amazon_base_url=address)
        api = SellerApi(access.sp_api, Region.NA, "A3BRIGHTPORCH9", SecretStr("Atza|a"))
        given = await create_restricted_data_token(api, [ADDRESSES])
        await access.close()

    assert given.value.get_secret_value() == example["restrictedDataToken"]


async def test_published_refusal_of_a_restricted_data_token_is_ours_to_cure(operations: Operations) -> None:
    [example] = operations["createRestrictedDataToken"].examples(400)

    async def answer(_request: bytes) -> bytes:
        return http_answer(400, json.dumps(example))

    async with answering(answer) as address:
        access = create_amazon("id", SecretStr("secret"), amazon_base_url=address)
        api = SellerApi(access.sp_api, Region.NA, "A3BRIGHTPORCH9", SecretStr("Atza|a"))
        with pytest.raises(ClientMisconfigured):
            await create_restricted_data_token(api, [ADDRESSES])
        await access.close()


async def test_amazons_own_example_of_a_store_is_understood(operations: Operations) -> None:
    [example] = operations["getMarketplaceParticipations"].examples(200)

    async def answer(_request: bytes) -> bytes:
        return http_answer(200, json.dumps(example))

    async with answering(answer) as address:
        access = create_amazon("id", SecretStr("secret"), amazon_base_url=address)
        api = SellerApi(access.sp_api, Region.NA, "A3BRIGHTPORCH9", SecretStr("Atza|a"))
        store = await get_marketplace_participations(api)
        await access.close()

    assert store.name == "BestSellerStore"
    assert store.sells_somewhere
    assert {participation.marketplace.country for participation in store.participations} == {"US"}


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 429, 500, 503])
async def test_no_published_error_is_taken_for_a_store(operations: Operations, status: int) -> None:
    operation = operations["getMarketplaceParticipations"]
    assert {int(code) for code in operation.body["responses"]} == {
        200,
        400,
        403,
        404,
        413,
        415,
        429,
        500,
        503,
    }
    error = {"errors": [{"code": "Some", "message": "words of Amazon"}]}

    async def answer(_request: bytes) -> bytes:
        return http_answer(status, json.dumps(error))

    async with answering(answer) as address:
        access = create_amazon("id", SecretStr("secret"), amazon_base_url=address)
        api = SellerApi(access.sp_api, Region.EU, "A1LAMPENLADEN7", SecretStr("Atza|a"))
        with pytest.raises(Expected) as raised:
            await get_marketplace_participations(api)
        await access.close()

    assert "words" not in str(raised.value)
