"""Who has an answer already is told that it is still the same, and only then."""

from uuid import UUID

import pytest
from sqlalchemy import func, update

from shared.database import Sessions
from shared.tables import Account, Integration
from tests.factories import make_integration
from tests.integration.connector.conftest import SignedIn


@pytest.fixture
async def path(account: Account, sessions: Sessions) -> str:
    async with sessions.begin() as session:
        return f"/api/v1/integrations/{(await make_integration(session, account.id)).id}"


async def test_an_answer_that_is_the_same_is_304_without_content(signed_in: SignedIn, path: str):
    first = await signed_in.client.get(path)
    # Weak, because it is that of a compressed answer, and of the plain one, too.
    weak = first.headers["etag"]

    again = await signed_in.client.get(path, headers={"If-None-Match": f'"x", {weak}'})

    assert (again.status_code, again.content) == (304, b"")
    assert f"W/{again.headers['etag']}" == weak
    assert again.headers["cache-control"] == "no-store"
    assert "content-type" not in again.headers


async def test_a_lock_that_turned_without_a_new_version_is_a_new_answer(
    signed_in: SignedIn, path: str, sessions: Sessions
):
    known = {"If-None-Match": (await signed_in.client.get(path)).headers["etag"]}
    async with sessions.begin() as session:
        integration_id = UUID(path.rpartition("/")[2])
        await session.execute(
            update(Integration).where(Integration.id == integration_id).values(sender_refused_at=func.now())
        )

    again = await signed_in.client.get(path, headers=known)

    assert (again.status_code, again.json()["lock"]["state"]) == (200, "red")
    assert again.headers["etag"] != known["If-None-Match"]


async def test_the_same_in_another_language_is_a_new_answer(signed_in: SignedIn, path: str):
    german = await signed_in.client.get(path, headers={"Accept-Language": "de"})

    english = await signed_in.client.get(
        path, headers={"Accept-Language": "en", "If-None-Match": german.headers["etag"]}
    )

    assert english.status_code == 200


async def test_the_tag_of_what_was_read_guards_a_change(signed_in: SignedIn, path: str):
    seen = {"If-Match": (await signed_in.client.get(path)).headers["etag"]}

    first = await signed_in.client.patch(path, json={"name": "Eins"}, headers=seen)
    second = await signed_in.client.patch(path, json={"name": "Zwei"}, headers=seen)

    assert (first.status_code, second.status_code) == (200, 412)


async def test_what_does_not_exist_is_not_told_to_be_the_same(signed_in: SignedIn):
    missing = "/api/v1/integrations/0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f"

    assert (await signed_in.client.get(missing, headers={"If-None-Match": "*"})).status_code == 404
