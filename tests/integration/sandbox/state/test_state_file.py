"""A sandbox with a file is stopped and started again: what sellers did is still there, what is broken is refused."""

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.certificate_authority import CertificateAuthority
from services.sandbox.state.state_file import StateFileUnusable
from tests.integration.sandbox.conftest import EUROPE, LAMPENLADEN, Seller, fixed_clock
from tests.integration.sandbox.grantless import NOTIFICATIONS, call, grantless

ADDRESS = "aaabbbccc@replyco.email"
SELLER_WITH_MANY_ORDERS = {
    "store_name": "Viel",
    "region": "eu",
    "countries": ["DE"],
    "seller_id": "A5VIEL1234567",
    "orders_per_country": 20,
}
PREFERENCES = f"{EUROPE}/notifications/preferences"


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.json"


def content_and_mode(path: Path) -> tuple[str, int]:
    return path.read_text(), stat.S_IMODE(path.stat().st_mode)


def identity(path: Path) -> tuple[int, int]:
    """Another one after each replacement."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@asynccontextmanager
async def started(state_file: Path, **changes: object) -> AsyncIterator[Seller]:
    settings = SandboxSettings.model_validate({"state_file": state_file, **changes})
    app = create_app(settings, fixed_clock)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost:8090"
    ) as client:
        yield Seller(client, settings)


async def test_what_sellers_entered_is_there_after_a_restart(state_file: Path) -> None:
    async with started(state_file) as seller:
        new = {"store_name": "Neu", "region": "eu", "countries": ["DE"], "seller_id": "A5NEU1234567"}
        await seller.client.post("/control/sellers", json=new)
        await seller.sign_in()
        await seller.client.post(PREFERENCES, data={"country": "DE", "action": "add", "address": ADDRESS})
        profile = {"country": "DE", "service_email": "a@example.com", "reply_email": "b@example.com"}
        await seller.client.post(
            f"{EUROPE}/sw/AccountInfo/SellerProfileView/step/SellerProfileView", data=profile
        )
        await seller.client.post(
            f"{EUROPE}/messaging/permissions", data={"country": "DE", "address": ADDRESS, "state": "approved"}
        )
        await seller.client.post(
            PREFERENCES,
            data={"country": "DE", "action": "add", "address": ADDRESS, "notification": "confirmations"},
        )
        await seller.client.post(
            f"{EUROPE}/order-reports-and-feeds/column-picker", data={"column": "payment-method-details"}
        )
        before = (await seller.client.get("/control/sellers")).json()

    async with started(state_file) as seller:
        after = (await seller.client.get("/control/sellers")).json()

    assert after == before
    assert after[0]["notification_addresses"]["DE"] == [ADDRESS]
    assert after[0]["profiles"]["DE"] == {"service_email": "a@example.com", "reply_email": "b@example.com"}
    assert after[0]["report_columns"]
    assert after[0]["messaging_permissions"]["DE"] == {ADDRESS: True}
    assert after[0]["confirmation_addresses"]["DE"] == [ADDRESS]
    assert after[-1]["seller_id"] == "A5NEU1234567"


async def test_refresh_token_holds_with_a_new_client_secret(state_file: Path) -> None:
    async with started(state_file) as seller:
        tokens = await seller.connect()

    async with started(state_file, client_secret=SecretStr("another secret")) as seller:
        answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        called = await seller.participations(answer.json()["access_token"])

    assert (answer.status_code, called.status_code) == (200, 200)


async def test_refresh_token_does_not_hold_for_another_client_id(state_file: Path) -> None:
    async with started(state_file) as seller:
        tokens = await seller.connect()

    async with started(state_file, client_id="another-client") as seller:
        answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    assert answer.json()["error"] == "invalid_grant"


async def test_the_mail_servers_authority_is_the_same_after_a_restart(state_file: Path) -> None:
    async with started(state_file) as seller:
        before = (await seller.client.get("/control/smtp/ca.pem")).text
        await seller.client.post("/control/sellers", json=SELLER_WITH_MANY_ORDERS)
    state = json.loads(content_and_mode(state_file)[0])
    CertificateAuthority.shared.cache_clear()  # as in another process

    async with started(state_file) as seller:
        after = (await seller.client.get("/control/smtp/ca.pem")).text
        *_, made = (await seller.client.get("/control/sellers")).json()

    assert after == before
    assert before in state["smtp_authority"]
    assert len(made["orders"]) == 20


async def test_orders_are_there_after_a_restart_with_what_became_of_them(state_file: Path) -> None:
    async with started(state_file) as seller:
        await seller.client.post("/control/sellers", json=SELLER_WITH_MANY_ORDERS)
        wanted = {"seller_id": "A5VIEL1234567", "country": "DE", "items": [{"unit_price": "19.90"}]}
        [bought] = (await seller.client.post("/control/orders", json=wanted)).json()
        await seller.client.post("/control/clock/advance", json={"seconds": 3_600})
        await seller.client.post("/control/orders/ship", json={"order_ids": [bought["order_id"]]})
        before = (await seller.client.get("/control/orders?seller_id=A5VIEL1234567")).json()
        whole = (await seller.client.get(f"/control/orders/{bought['order_id']}")).json()

    async with started(state_file) as seller:
        after = (await seller.client.get("/control/orders?seller_id=A5VIEL1234567")).json()
        again = (await seller.client.get(f"/control/orders/{bought['order_id']}")).json()
        *_, made = (await seller.client.get("/control/sellers")).json()

    assert len(after) == 21
    assert after == before
    assert again == whole
    assert made["orders"][-1]["order_id"] == bought["order_id"]


async def test_who_subscribed_is_told_after_a_restart(state_file: Path) -> None:
    async with started(state_file) as seller:
        application = await grantless(seller, NOTIFICATIONS)
        own = (await seller.connect())["access_token"]
        resource = {"sqs": {"arn": "arn:aws:sqs:eu-west-1:123456789012:orders"}}
        destination = {"name": "orders", "resourceSpecification": resource}
        root = "/sellingpartnerapi-eu.amazon.com/notifications/v1"
        created = await call(seller, "POST", f"{root}/destinations", application, destination)
        wanted = {"payloadVersion": "1.0", "destinationId": created.json()["payload"]["destinationId"]}
        await call(seller, "POST", f"{root}/subscriptions/ORDER_CHANGE", own, wanted)

    async with started(state_file) as seller:
        await seller.client.post("/control/orders", json={"seller_id": LAMPENLADEN, "country": "DE"})
        [notice] = (await seller.client.get("/control/notices?queue=orders")).json()

    assert json.loads(notice["body"])["NotificationType"] == "ORDER_CHANGE"


async def test_revoked_stays_revoked(state_file: Path) -> None:
    async with started(state_file) as seller:
        tokens = await seller.connect()
        await seller.client.post(f"{EUROPE}/apps/manage", data={"action": "disable"})

    async with started(state_file) as seller:
        answer = await seller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    assert answer.json()["error"] == "invalid_grant"


async def test_codes_access_tokens_and_sign_ins_are_not_kept(state_file: Path) -> None:
    async with started(state_file) as seller:
        tokens = await seller.connect()
        code = await seller.code()
        cookies = seller.client.cookies

    async with started(state_file) as seller:
        seller.client.cookies = cookies
        assert (await seller.exchange(code)).json()["error"] == "invalid_grant"
        assert (await seller.participations(tokens["access_token"])).status_code == 403
        assert "/ap/signin" in (await seller.client.get(PREFERENCES)).headers["location"]


async def test_reset_is_kept_too(state_file: Path) -> None:
    async with started(state_file) as seller:
        tokens = await seller.connect()
        await seller.client.post("/control/reset")

    assert tokens["refresh_token"] not in content_and_mode(state_file)[0]


async def test_only_changes_are_written(state_file: Path) -> None:
    async with started(state_file) as seller:
        at_start = identity(state_file)
        await seller.client.get(PREFERENCES)
        await seller.client.post("/control/scenarios/throttling", json={"enabled": False})
        assert identity(state_file) == at_start
        await seller.connect()
        assert identity(state_file) != at_start


async def test_only_the_owner_reads_it_and_half_a_file_is_no_harm(state_file: Path) -> None:
    async with started(state_file) as seller:
        state_file.with_name("sandbox.json.new").write_text("half a fi")
        tokens = await seller.connect()

    content, mode = content_and_mode(state_file)
    assert mode == 0o600
    assert tokens["refresh_token"] in content
    assert tokens["access_token"] not in content
    assert not list(state_file.parent.glob("*.new"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"sellers": {',
        "[]",
        '{"sellers": {}}',
        '{"sellers": {}, "refresh_tokens": {"Atzr|canary": {"seller_id": "canary"}}}',
        '{"sellers": {"X": {"seller_id": "X", "store_name": "x", "region": "eu", "countries": ["XX"]}}, "refresh_tokens": {}}',
        "\udcff",
    ],
)
def test_broken_file_is_refused_and_left_alone(state_file: Path, content: str) -> None:
    state_file.write_text(content, errors="surrogateescape")
    before = state_file.read_bytes()

    with pytest.raises(StateFileUnusable) as refused:
        create_app(SandboxSettings(state_file=state_file))

    assert f"{state_file} is broken. Delete it, or set REPLYCO_SANDBOX_STATE_FILE" in str(refused.value)
    assert "canary" not in str(refused.value)
    assert state_file.read_bytes() == before


def test_place_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "sandbox.json"):
        with pytest.raises(StateFileUnusable, match="Set REPLYCO_SANDBOX_STATE_FILE to a file that can be"):
            create_app(SandboxSettings(state_file=place))
