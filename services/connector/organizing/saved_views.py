"""A person's own views of the inbox: filters under a name."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.callers import BrowserRequired, Caller
from services.connector.integrations.names import clean_name, name_key
from services.connector.problems.catalogue import NotFound
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.tables import SavedView, User

MAX_SAVED_VIEWS: Final = 30


class TooManySavedViews(Expected):
    """The person has as many views as they may have."""

    code = "too_many_saved_views"


class ViewNameTaken(Expected):
    """Another of the person's views has this name already."""

    code = "view_name_taken"


async def list_views(sessions: Sessions, caller: Caller) -> Sequence[SavedView]:
    """The caller's own, the oldest first. Raises BrowserRequired."""
    async with sessions.begin() as session:
        own = select(SavedView).where(SavedView.user_id == _person(caller)).order_by(SavedView.id)
        return (await session.scalars(own)).all()


async def save_view(sessions: Sessions, caller: Caller, name: str, filters: dict[str, Any]) -> SavedView:
    """Keep filters under a name; a view that has this name has these filters from then on, so that saving twice leaves one.

    Raises BrowserRequired, NameEmpty, NameTooLong, TooManySavedViews.
    """
    wanted, person_id = clean_name(name), _person(caller)
    async with sessions.begin() as session:
        own = await _own_locked(session, person_id)
        view = next((each for each in own if name_key(each.name) == name_key(wanted)), None)
        if view is None:
            if len(own) >= MAX_SAVED_VIEWS:
                raise TooManySavedViews(limit=MAX_SAVED_VIEWS)
            view = SavedView(id=new_id(), account_id=caller.account_id, user_id=person_id)
            session.add(view)
        view.name, view.filters = wanted, filters
        return view


async def rename_view(sessions: Sessions, caller: Caller, view_id: UUID, name: str) -> SavedView:
    """Call one of the caller's own otherwise. Raises BrowserRequired, NotFound, NameEmpty, NameTooLong, ViewNameTaken."""
    wanted, person_id = clean_name(name), _person(caller)
    async with sessions.begin() as session:
        own = await _own_locked(session, person_id)
        view = next((each for each in own if each.id == view_id), None)
        if view is None:
            raise NotFound
        if any(name_key(each.name) == name_key(wanted) for each in own if each is not view):
            raise ViewNameTaken
        view.name = wanted
        return view


async def delete_view(sessions: Sessions, caller: Caller, view_id: UUID) -> None:
    """Forget one of the caller's own. Raises BrowserRequired, NotFound."""
    async with sessions.begin() as session:
        own = delete(SavedView).where(SavedView.id == view_id, SavedView.user_id == _person(caller))
        if await session.scalar(own.returning(SavedView.id)) is None:
            raise NotFound


async def _own_locked(session: AsyncSession, person_id: UUID) -> Sequence[SavedView]:
    """All of a person's, of whom one change is made at a time: they are counted, and their names are compared."""
    await session.execute(select(User.id).where(User.id == person_id).with_for_update(key_share=True))
    return (await session.scalars(select(SavedView).where(SavedView.user_id == person_id))).all()


def _person(caller: Caller) -> UUID:
    if caller.person_id is None:
        raise BrowserRequired
    return caller.person_id
