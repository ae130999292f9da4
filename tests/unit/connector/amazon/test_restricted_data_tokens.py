"""A token for buyers' personal data: what is never sent, what is never believed, and what is never told."""

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from services.connector.amazon.access import create_amazon
from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import AmazonUnavailable
from services.connector.amazon.restricted_data_tokens import (
    RestrictedDataToken,
    RestrictedResource,
    create_restricted_data_token,
)
from shared.errors import Expected
from shared.marketplaces import Region
from tests.integration.connector.connecting import answering, http_answer

RESOURCE = RestrictedResource(method="GET", path="/orders/v0/orders/{orderId}/address")
CANARY = "Atz.sprdt|canary"
GIVEN = '{"restrictedDataToken": "%s", "expiresIn": 3600}' % CANARY  # noqa: UP031  (braces of JSON)


class Server:
    """Answers one after the other, the last one for ever, and keeps what was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []

    async def __call__(self, request: bytes) -> bytes:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def ask(server: Server, *resources: RestrictedResource) -> RestrictedDataToken:
    async with answering(server) as address:
        amazon = create_amazon("client", SecretStr("secret"), amazon_base_url=address)
        api = SellerApi(amazon.sp_api, Region.EU, "A1LAMPENLADEN7", SecretStr("Atza|canary"))
        try:
            return await create_restricted_data_token(api, resources)
        finally:
            await amazon.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "PATCH", "path": "/orders/v0/orders"},
        {"method": "GET", "path": "orders/v0/orders"},
        {"method": "GET", "path": "https://evil.example/orders"},
        {"method": "GET", "path": "/orders/v0/orders?MarketplaceIds=A1PA6795UKMFR9"},
        {"method": "GET", "path": "/orders/v0/orders\n"},
        {"method": "GET", "path": "/" + "x" * 500},
        {"method": "GET", "path": "/orders/v0/orders", "data_elements": ["everything"]},
        {"method": "GET", "path": "/orders/v0/orders", "dataElements": ["buyerInfo"]},
    ],
)
def test_resource_of_another_form_than_amazons_is_not_made(fields: dict[str, object]):
    with pytest.raises(ValidationError):
        RestrictedResource.model_validate(fields)


@pytest.mark.parametrize("count", [0, 51])
async def test_nothing_is_sent_for_no_resource_or_more_than_fifty(count: int):
    server = Server(http_answer(200, GIVEN))

    with pytest.raises(ValueError, match="1 to 50"):
        await ask(server, *[RESOURCE] * count)

    assert server.asked == []


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"restrictedDataToken": "", "expiresIn": 3600}',
        '{"restrictedDataToken": 7, "expiresIn": 3600}',
        '{"restrictedDataToken": "Atz.sprdt|canary"}',
        '{"restrictedDataToken": "Atz.sprdt|canary", "expiresIn": 0}',
        '{"restrictedDataToken": "Atz.sprdt|canary", "expiresIn": 1000000}',
    ],
)
async def test_answer_of_another_form_is_no_token(body: str):
    with pytest.raises(AmazonUnavailable) as failure:
        await ask(Server(http_answer(200, body)), RESOURCE)

    assert "canary" not in f"{failure.value!r} {failure.value.fields}"


async def test_question_is_repeated_after_trouble_at_amazon():
    server = Server(http_answer(503, "<html></html>", "text/html"), http_answer(200, GIVEN))

    given = await ask(server, RESOURCE)

    assert given.value.get_secret_value() == CANARY
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [200, 400, 403, 429])
async def test_no_token_stands_in_a_log_line_or_an_error(status: int):
    with capture_logs() as logged:
        try:
            told = repr(await ask(Server(http_answer(status, GIVEN)), RESOURCE))
        except Expected as failure:
            told = f"{failure!r} {failure.fields}"

    assert "canary" not in f"{told} {logged}"
