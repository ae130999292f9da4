"""How long data are kept: read and changed by administrators, within bounds, and noted."""

from typing import Any

import pytest
from sqlalchemy import select

from shared.tables import AuditEntry

PATH = "/api/v1/account/retention"
DEFAULT = {"messages_kept_days": 548, "longer_kept": None}


async def test_an_account_begins_with_eighteen_months(client):
    answer = await client.get(PATH)

    assert answer.json() == DEFAULT


async def test_what_is_given_is_changed_and_noted_and_the_rest_stays(client, sessions):
    longer = {"days": 3285, "reason": "§ 147 AO"}

    await client.patch(PATH, json={"longer_kept": longer})
    answer = await client.patch(PATH, json={"messages_kept_days": 30})

    assert answer.json() == {"messages_kept_days": 30, "longer_kept": longer}
    assert (await client.patch(PATH, json={"longer_kept": None})).json()["longer_kept"] is None
    assert (await client.get(PATH)).json() == {"messages_kept_days": 30, "longer_kept": None}
    async with sessions.begin() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
        noted = [entry.fields for entry in entries if entry.action == "retention_changed"]
    assert noted[1] == {"messages_kept_days": "30", "longer_kept_days": "3285"}


@pytest.mark.parametrize(
    "body",
    [
        {"messages_kept_days": 29},
        {"messages_kept_days": 3654},
        {"messages_kept_days": None},
        {"messages_kept_days": "365"},
        {"longer_kept": {"days": 0, "reason": "law"}},
        {"longer_kept": {"days": 10}},
        {"longer_kept": {"days": 10, "reason": " "}},
        {"orders_kept_days": 1},
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_nothing_changes(client, body: dict[str, Any]):
    answer = await client.patch(PATH, json=body)

    assert answer.status_code == 422
    assert (await client.get(PATH)).json() == DEFAULT
