"""What somebody has who may not read the inbox any more becomes nobody's, however they lose it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from services.connector.organizing.unassigning import unassign
from services.connector.users import operator_service
from shared.database import Sessions
from shared.tables import Conversation, EventRow, JobRow, User
from tests.factories import make_conversation


@pytest.fixture
async def leaver(sign_in_as, inbox, owner_sessions, keyring):
    """Somebody who has three conversations, one of them closed."""
    person = await sign_in_as(general_admin="none")
    async with owner_sessions.begin() as session:
        for status in ("open", "open", "closed"):
            row = await make_conversation(session, keyring, inbox.integration, status=status)
            row.assignee_id = person.user.id
    return person


async def _owners(sessions: Sessions) -> set[UUID | None]:
    async with sessions.begin() as session:
        return set(await session.scalars(select(Conversation.assignee_id)))


@pytest.mark.parametrize("way", ["disabled", "disabled by an operator", "permission taken", "removed"])
async def test_who_may_not_read_the_inbox_any_more_has_no_conversations(way, client, leaver, owner_sessions):
    user_id = leaver.user.id
    path = f"/api/v1/users/{user_id}"

    if way == "disabled":
        assert (await client.post(f"{path}/disable")).status_code == 200
    elif way == "removed":
        assert (await client.delete(path, params={"programs": "end"})).status_code == 204
    elif way == "permission taken":
        # Who may read goes on having theirs.
        await client.patch(path, json={"permissions": {"inbox.messages": "view"}})
        assert await _jobs(owner_sessions) == []
        assert (await client.patch(path, json={"permissions": {"inbox.messages": "none"}})).status_code == 200
    else:
        await operator_service.disable(owner_sessions, leaver.user.email, datetime.now(UTC))

    assert await _jobs(owner_sessions) == [("unassign_conversations", user_id)]
    assert await unassign(owner_sessions, user_id, batch=2) == 3
    assert await _owners(owner_sessions) == {None}
    async with owner_sessions.begin() as session:
        told = list(
            await session.scalars(select(EventRow.ids).where(EventRow.kind == "conversation.changed"))
        )
    # Nobody has a closed one before their eyes.
    assert len(told) == 2


async def test_who_was_let_in_again_meanwhile_keeps_theirs(client, leaver, owner_sessions):
    path = f"/api/v1/users/{leaver.user.id}"
    await client.post(f"{path}/disable")
    await client.post(f"{path}/enable")

    assert await unassign(owner_sessions, leaver.user.id) == 0
    assert leaver.user.id in await _owners(owner_sessions)


async def test_of_another_account_nothing_is_taken(leaver, foreign_inbox, sign_in_as, owner_sessions):
    stranger = await sign_in_as(of=foreign_inbox.account)
    async with owner_sessions.begin() as session:
        (await session.get_one(Conversation, foreign_inbox.conversation.id)).assignee_id = stranger.user.id
        (await session.get_one(User, leaver.user.id)).disabled_at = datetime.now(UTC)

    await unassign(owner_sessions, leaver.user.id)

    assert await _owners(owner_sessions) == {None, stranger.user.id}


async def _jobs(sessions: Sessions) -> list[tuple[str, UUID]]:
    async with sessions.begin() as session:
        rows = await session.execute(select(JobRow.kind, JobRow.subject_id))
        return [(row.kind, row.subject_id) for row in rows if row.kind == "unassign_conversations"]
