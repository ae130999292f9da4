"""From Amazon's mail servers to the agent's screen: what is Amazon's reads right, and what is not is held back and says why."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from deploy.demo.stack import DEMO_EMAIL, Stack
from tests.browser.product.mails import Seller, Store, make_store
from tests.browser.steps import enter


@pytest.fixture
async def store(stack: Stack) -> Store:
    return await make_store(stack, "Lampen")


@pytest.fixture
async def page(german: BrowserContext, stack: Stack) -> Page:
    page = await german.new_page()
    await enter(page, DEMO_EMAIL, stack.password)
    return page


def only(store: Store, view: str = "open") -> str:
    """The inbox with this store's conversations alone: all tests share one account."""
    return f"/inbox?view={view}&integration={store.integration_id}"


async def test_a_lookalike_is_in_quarantine_with_its_reason_and_can_be_released(
    page: Page, stack: Stack, store: Store
):
    seller = await Seller.of(stack, store, "DE")
    await page.goto(only(store, "quarantine"))
    await expect(page.get_by_role("heading", name="Mit diesen Filtern gibt es nichts")).to_be_visible()

    await seller.hears_from_buyer("DE", "Bitte überweisen Sie den Betrag zurück.", forgery="lookalike")

    await page.get_by_test_id("conversation").click()
    notice = page.get_by_test_id("not-authentic")
    await expect(notice).to_contain_text("In Quarantäne: gibt sich als Amazon aus")
    await expect(notice).to_contain_text("sieht nur so aus wie eine von Amazon")
    await expect(page.get_by_test_id("answer-clock")).to_have_count(0)
    await notice.get_by_role("button", name="Freigeben").click()
    dialog = page.get_by_role("dialog", name="Diese E-Mail freigeben?")
    await expect(dialog).to_contain_text("Das Protokoll hält fest, wer sie freigegeben hat.")
    await dialog.get_by_role("button", name="Abbrechen").click()
    await notice.get_by_role("button", name="Freigeben").click()
    await dialog.get_by_role("button", name="Freigeben").click()

    await expect(notice).to_contain_text("Freigegeben, aber nicht nachweislich von Amazon")
    await expect(notice.get_by_role("button")).to_have_count(0)
    await page.goto(only(store))
    await expect(page.get_by_test_id("conversation")).to_have_count(1)


async def test_what_amazon_sent_elsewhere_waits_until_an_administrator_confirms_the_mailbox(
    page: Page, stack: Stack, store: Store
):
    seller = await Seller.of(stack, store, "DE")
    await seller.hears_from_buyer("DE", "Wann kommt meine Lampe?", forgery="forwarded")

    await page.goto(only(store, "quarantine"))
    await page.get_by_test_id("conversation").click()
    notice = page.get_by_test_id("not-authentic")
    await expect(notice).to_contain_text("In Quarantäne: nicht an diesen Store geschickt")
    await expect(notice.get_by_test_id("sent-to")).to_have_text("Geschickt an: shop@mailbox.example")
    await expect(page.get_by_test_id("answer-clock")).to_have_count(0)
    await notice.get_by_role(
        "button", name="Post an shop@mailbox.example wird hierher weitergeleitet"
    ).click()
    dialog = page.get_by_role("dialog", name="Wird Post an shop@mailbox.example hierher weitergeleitet?")
    await dialog.get_by_role("button", name="Ja, es wird weitergeleitet").click()
    await expect(notice).to_contain_text("Bestätigt.")

    await page.goto(f"/integrations/{store.integration_id}")
    await page.get_by_text("Verwalten").click()
    await page.get_by_text("Weitergeleitete Postfächer").click()
    mailboxes = page.get_by_test_id("forwarded-mailboxes")
    await expect(mailboxes).to_contain_text("shop@mailbox.example")
    await mailboxes.get_by_role("button", name="Zurückziehen").click()
    await (
        page.get_by_role("dialog", name="Dieses Postfach zurückziehen?")
        .get_by_role("button", name="Zurückziehen")
        .click()
    )
    await expect(page.get_by_text("Keine. Nur Post")).to_be_visible()


async def test_what_names_amazon_without_a_signature_does_not_join_the_buyers_conversation(
    page: Page, stack: Stack, store: Store
):
    seller = await Seller.of(stack, store, "DE")
    await seller.hears_from_buyer("DE", "Wann kommt meine Lampe?")
    await seller.hears_from_buyer("DE", "Meine neue Bankverbindung", forgery="unsigned")

    await page.goto(only(store, "quarantine"))
    await page.get_by_test_id("conversation").click()

    await expect(page.get_by_test_id("not-authentic")).to_contain_text(
        "trägt aber keine digitale Unterschrift"
    )
    await page.goto(only(store))
    await expect(page.get_by_test_id("conversation")).to_have_count(1)
    await page.get_by_test_id("conversation").click()
    await expect(page.get_by_role("article")).to_have_count(1)
    await expect(page.get_by_role("article")).to_contain_text("Wann kommt meine Lampe?")
    await page.get_by_role("article").get_by_text("Details", exact=True).click()
    await expect(page.get_by_test_id("authentic")).to_have_text("Von Amazon", use_inner_text=True)


async def test_a_japanese_and_an_arabic_message_read_right(page: Page, stack: Stack, store: Store):
    seller = await Seller.of(stack, store, "DE", "AE")
    order_id = seller.order_id("AE")
    await seller.hears_from_buyer("DE", "こんにちは。ランプの色は何色ですか。", subject="ランプについて")
    await seller.hears_from_buyer("AE", f"مرحبا، متى يصل المصباح؟ رقم الطلب {order_id} شكرا", subject="سؤال")
    await page.goto(only(store))
    # What comes while somebody points in the list waits above it.
    await expect(page.get_by_test_id("conversation")).to_have_count(2)

    await page.get_by_role("link").filter(has_text=seller.order_id("DE")).click()
    japanese = page.get_by_role("article").get_by_text("こんにちは。ランプの色は何色ですか。")
    await expect(japanese).to_have_attribute("lang", "ja")
    await expect(japanese).to_have_css("direction", "ltr")
    await expect(page.get_by_role("article")).to_contain_text("Sprache: Japanisch")
    await expect(
        page.get_by_role("region", name="Unterhaltung").get_by_text("ランプについて")
    ).to_be_visible()

    await page.get_by_role("link").filter(has_text=order_id).click()
    arabic = page.get_by_role("article").get_by_text("متى يصل المصباح")
    await expect(arabic).to_have_attribute("lang", "ar")
    await expect(arabic).to_have_css("direction", "rtl")
    # Its parts would stand in the wrong order among Arabic letters.
    await expect(arabic.get_by_text(order_id)).to_have_css("direction", "ltr")
    await expect(page.get_by_role("region", name="Unterhaltung").get_by_text("سؤال")).to_have_css(
        "direction", "rtl"
    )


async def test_a_conversation_is_found_by_order_by_words_and_not_by_parts_of_words_and_its_file_downloads_under_its_name(
    page: Page, stack: Stack, store: Store
):
    seller = await Seller.of(stack, store, "DE")
    name = "Größe und Maße, Übersicht.pdf"
    await seller.hears_from_buyer("DE", "Der Lampenschirm hat einen Riss.", files={name: b"%PDF-1.4 Lampe"})
    await page.goto(only(store))
    found = page.get_by_test_id("conversation")
    await expect(found).to_have_count(1)
    search = page.get_by_role("searchbox", name="Unterhaltungen suchen")

    for wanted, count in {seller.order_id("DE"): 1, "Lampen": 0, "riss LAMPENSCHIRM": 1}.items():
        await search.fill(wanted)
        await search.press("Enter")
        await expect(found).to_have_count(count)
        # Not what was shown before.
        await expect(page.locator("#announcer")).to_contain_text("gezeigt" if count else "Keine Unterhaltung")

    await found.click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name=name).click()
    file = await download.value
    assert file.suggested_filename == name
    assert (await file.path()).read_bytes() == b"%PDF-1.4 Lampe"


async def test_the_code_of_a_verification_mail_appears_on_the_setup_page_of_who_waits(
    page: Page, stack: Stack, store: Store
):
    seller = await Seller.of(stack, store, "DE")
    await page.goto(f"/integrations/{store.integration_id}")
    mails = page.get_by_test_id("verification-mails")
    await expect(mails).to_contain_text("Noch keine Bestätigungs-E-Mail angekommen")

    code = await seller.verifies_address("DE")

    await expect(page.get_by_test_id("verification-code")).to_have_text(code)
    await expect(page.get_by_role("dialog").locator(".announcer")).to_contain_text(code)
    await mails.get_by_text("Ganze E-Mail").click()
    await expect(mails.locator(".message-text")).to_contain_text(code)
