"""An account in which something is on every page, and the list of those pages."""

import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from playwright.async_api import Browser, StorageState

from services.connector.integrations.service import recompute_lock
from shared.tables import Integration
from tests.browser.steps import PASSWORD, Site
from tests.factories import (
    make_attachment,
    make_conversation,
    make_conversation_order,
    make_grant,
    make_integration,
    make_message,
    make_order,
    make_order_item,
    make_order_package,
    make_relay_address,
    make_reply,
)

ORDER_ID: Final = "303-1111111-1111111"
_BUYERS: Final = (
    ("Erika Beispiel", "Frage zur Lampe", "Guten Tag, passt in die Schreibtischlampe auch eine Birne mit großem Gewinde?"),
    ("Jean Exemple", "Colis pas encore arrivé", "Bonjour, ma commande devait arriver hier. Pouvez-vous me dire où elle est ?"),
    ("Mario Esempio", "Reso", "Buongiorno, vorrei restituire la lampada perché è troppo grande per il mio tavolo."),
    ("Max Muster", "Rechnung", "Hallo, ich brauche für die Steuer noch eine Rechnung mit ausgewiesener Mehrwertsteuer."),
)  # fmt: skip


def _picture() -> bytes:
    """A small PNG in one colour that fades, such as a lamp seen through fog."""
    width, height = 160, 120
    lines = b"".join(b"\x00" + bytes((250 - y, 220 - y, 120)) * width for y in range(height))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@dataclass(frozen=True, slots=True)
class View:
    """A page with something on it: where it is, and what is on it once it has been read."""

    name: str
    address: str
    ready: str
    is_public: bool = False


async def furnish(site: Site) -> list[View]:
    """Fills the account and lists every page of it."""
    store = await _stores(site)
    conversation_id = await _conversations(site, store)
    order_row_id = await _orders(site, store)
    return [
        View("sign_in", "/sign-in", "input[type=password]", is_public=True),
        View("forgot_password", "/forgot-password", "input[type=email]", is_public=True),
        View("reset_password", "/reset-password", "h1", is_public=True),
        View("invitation", "/invitation", "h1", is_public=True),
        View("connect_problem", "/connect/problem/other_browser", "h1", is_public=True),
        View("not_found", "/nowhere", "h1", is_public=True),
        View("inbox", "/inbox", ".conversation"),
        View("conversation", f"/inbox/{conversation_id}", "[data-testid=message]"),
        View("replies", "/replies", "h1"),
        View("integrations", "/integrations", "[data-testid=integration-row]"),
        View("guide", f"/integrations/{store.id}", "dialog[open] #relay-address, dialog[open] input[type=checkbox]"),
        View("wizard", "/integrations/new", "h1"),
        View("wizard_country", "/integrations/new?source=amazon&country=DE", "input[type=radio]:checked"),
        View("orders", "/orders", "[data-testid=order-row]"),
        View("order", f"/orders/{order_row_id}", "[data-testid=order]"),
        View("profile", "/profile", "h1"),
        View("settings", "/settings", "h1"),
        View("users", "/settings/users", "h1"),
        View("api_keys", "/settings/api-keys", "h1"),
        View("webhooks", "/settings/webhooks", "h1"),
        View("audit_log", "/settings/audit-log", "[data-testid=audit-entry]"),
        View("read_log", "/settings/read-log", "h1"),
        View("retention", "/settings/retention", "h1"),
        View("reply_templates", "/settings/templates", "h1"),
        View("tags", "/settings/tags", "h1"),
        View("security", "/settings/security", "h1"),
        View("company_account", "/settings/company-account", "h1"),
        View("account", "/settings/account", "h1"),
    ]  # fmt: skip


async def entered(browser: Browser, site: Site, *, language: str | None = None) -> StorageState:
    """What a browser holds in which the admin is signed in, from now on with this language."""
    context = await browser.new_context(base_url=site.url)
    user = {"email": "admin@seller.example", "password": PASSWORD}
    answer = await context.request.post("/api/v1/sessions", data=user)
    assert answer.ok, await answer.text()
    if language is not None:
        token = {"X-CSRF-Token": (await answer.json())["csrf_token"]}
        changed = await context.request.patch("/api/v1/me", data={"language": language}, headers=token)
        assert changed.ok, await changed.text()
    state = await context.storage_state()
    await context.close()
    return state


async def _stores(site: Site) -> Integration:
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        store = await make_integration(session, site.account.id, name="Lampen Europa")
        usa = await make_integration(
            session, site.account.id, name="Lamps America", region="na", home_country="US",
            countries=("US", "CA"),
        )  # fmt: skip
        for each in (store, usa):
            grant = await make_grant(session, site.keyring, each)
            await make_relay_address(session, each)
            if each is usa:
                grant.refused_at, grant.revoked_at = now - timedelta(minutes=2), now
            await session.flush()
            # What the list says of a store is kept with it.
            await recompute_lock(session, site.account.id, each.id, now)
    return store


async def _conversations(site: Site, store: Integration) -> str:
    for number in range(11):
        await _conversation(site, store, number, f"303-{number:07}-1234567", has_failed=number == 5)
    return await _conversation(site, store, 12, ORDER_ID, is_long=True)


async def _conversation(
    site: Site,
    store: Integration,
    number: int,
    order_id: str,
    *,
    is_long: bool = False,
    has_failed: bool = False,
) -> str:
    """The last message is so many steps from now; a long one has two of them, a file, and its order."""
    name, subject, text = _BUYERS[number % len(_BUYERS)]
    at = datetime.now(UTC) - timedelta(minutes=17 * (12 - number))
    told: dict[str, Any] = {
        "text": text,
        "sender_name": name,
        "snippet": text,
        "authenticity": "authentic",
        "is_excerpt": True,
    }
    async with site.sessions.begin() as session:
        conversation = await make_conversation(
            session, site.keyring, store, buyer_name=name, subject=subject, order_id=order_id, last_message_at=at,
            answer_due_at=at + timedelta(hours=5 if number % 3 else -3), is_unread=number % 2 == 1,
            message_count=1 + is_long,
        )  # fmt: skip
        if is_long:
            earlier = at - timedelta(hours=2)
            await make_message(
                session, site.keyring, conversation, received_at=earlier, html=f"<p>{text}</p>", **told
            )
        message = await make_message(
            session, site.keyring, conversation, subject=subject, received_at=at, order_ids=[order_id], **told
        )
        conversation.snippet, conversation.snippet_message_id = message.snippet, message.id
        if is_long:
            await make_attachment(
                session, site.keyring, message, filename="lampe.png", content_type="image/png", sniffed_type="image/png",
                content=_picture(),
            )  # fmt: skip
            await make_conversation_order(session, conversation, order_id)
        if has_failed:
            await make_reply(
                session, site.keyring, message, state="failed", failure="unknown", server_words="550 5.7.1 no",
                order_id=order_id,
            )  # fmt: skip
    return str(conversation.id)


async def _orders(site: Site, store: Integration) -> str:
    for number in range(5):
        await _order(site, store, None, bought_days_ago=5 - number)
    return await _order(site, store, ORDER_ID, bought_days_ago=0)


async def _order(site: Site, store: Integration, order_id: str | None, *, bought_days_ago: int) -> str:
    now = datetime.now(UTC)
    async with site.sessions.begin() as session:
        order = await make_order(
            session, site.keyring, store, order_id=order_id, fetched_at=now,
            purchased_at=now - timedelta(days=bought_days_ago),
        )  # fmt: skip
        await make_order_item(session, site.keyring, order)
        if order_id is not None:
            await make_order_package(session, order)
    return str(order.id)
