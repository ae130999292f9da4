"""Amazon's mails with a code, for whoever enters the relay address in Seller Central."""

from tests.factories import make_conversation, make_integration, make_message


async def test_the_newest_ten_are_shown_with_their_codes(client, inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        for number in range(12):
            await make_message(
                session,
                keyring,
                inbox.conversation,
                kind="verification",
                subject="Verify",
                text=f"Your code: {number}",
                verification_code=str(number) if number else None,
            )
        await make_message(session, keyring, inbox.conversation, text="a buyer's words")

    answer = await client.get(f"/api/v1/integrations/{inbox.integration.id}/verification-mails")

    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [(item["code"], item["text"], item["subject"]) for item in items] == [
        (str(number), f"Your code: {number}", "Verify") for number in range(11, 1, -1)
    ]


async def test_forged_ones_and_those_of_other_integrations_are_left_out(
    client, inbox, owner_sessions, keyring
):
    async with owner_sessions.begin() as session:
        forged = await make_conversation(session, keyring, inbox.integration, status="quarantine")
        await make_message(session, keyring, forged, kind="verification", verification_code="666")
        other = await make_integration(session, inbox.account.id, name="Amazon USA", region="na")
        elsewhere = await make_conversation(session, keyring, other)
        await make_message(session, keyring, elsewhere, kind="verification", verification_code="1")

    answer = await client.get(f"/api/v1/integrations/{inbox.integration.id}/verification-mails")

    assert answer.json() == {"items": []}


async def test_a_long_mail_shows_its_beginning(client, inbox, owner_sessions, keyring):
    async with owner_sessions.begin() as session:
        await make_message(session, keyring, inbox.conversation, kind="verification", text="x" * 9_000)

    [item] = (await client.get(f"/api/v1/integrations/{inbox.integration.id}/verification-mails")).json()[
        "items"
    ]

    assert item["text"] == "x" * 4_000
