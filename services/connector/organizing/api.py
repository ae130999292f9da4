"""Routes: how agents order the inbox. Tags, saved views, muted kinds, changes of many conversations and their undoing."""

from collections.abc import Sequence
from uuid import UUID

from services.connector.dependencies import (
    InboxEditor,
    InboxReader,
    InboxReadingPerson,
    Now,
    SessionsDep,
)
from services.connector.http.routers import api_router
from services.connector.inbox.views import changes_of
from services.connector.organizing import bulk_changes, choices, muted_kinds, saved_views, tags
from services.connector.organizing.schemas import (
    BulkChangeAnswer,
    BulkChangeRequest,
    MutedKinds,
    NamedAnswer,
    NamedList,
    RefusedAnswer,
    SavedViewAnswer,
    SavedViewList,
    SavedViewRequest,
    TagAnswer,
    TagDetailAnswer,
    TagList,
    TagRequest,
    UndoAnswer,
    ViewFilters,
    ViewNameRequest,
)
from shared.database import Sessions
from shared.tables import MutableKind, SavedView, Tag

router = api_router("inbox")


@router.post("/conversations/changes", summary="Change many conversations")
async def change_conversations(
    body: BulkChangeRequest, caller: InboxEditor, sessions: SessionsDep, now: Now
) -> BulkChangeAnswer:
    """In one transaction: close, reopen, snooze, mark, assign or tag up to 200. The answer says which of them were changed."""
    result = await bulk_changes.change_many(
        sessions, caller, body.conversation_ids, changes_of(body.change), now
    )
    return BulkChangeAnswer(
        id=result.id,
        changed=result.changed,
        unchanged=result.unchanged,
        refused=[
            RefusedAnswer.model_validate({"conversation_id": each.conversation_id, "code": each.code})
            for each in result.refused
        ],
    )


@router.post("/conversations/changes/{change_id}/undo", summary="Undo a change of conversations")
async def undo_conversation_changes(
    change_id: UUID, caller: InboxEditor, sessions: SessionsDep, now: Now
) -> UndoAnswer:
    """For ten minutes, by whoever made it: they are as they were, but for those that somebody has changed since."""
    result = await bulk_changes.undo(sessions, caller, change_id, now)
    return UndoAnswer(restored=result.restored, left=result.left)


@router.get("/conversations/stores", summary="List the stores of conversations")
async def list_conversation_stores(caller: InboxReader, sessions: SessionsDep) -> NamedList:
    """Their names alone, for whoever chooses by store."""
    return _named(await choices.list_stores(sessions, caller.account_id))


@router.get("/conversations/assignees", summary="List whom conversations can be assigned to")
async def list_assignees(caller: InboxReader, sessions: SessionsDep) -> NamedList:
    """The people of the account who may read the inbox."""
    return _named(await choices.list_assignees(sessions, caller.account_id))


@router.get("/tags", summary="List tags")
async def list_tags(caller: InboxReader, sessions: SessionsDep) -> TagList:
    """All of the account's."""
    return TagList(items=[_tag(each) for each in await tags.list_tags(sessions, caller.account_id)])


@router.post("/tags", status_code=201, summary="Create a tag")
async def create_tag(body: TagRequest, caller: InboxEditor, sessions: SessionsDep) -> TagAnswer:
    """A word by which everybody of the account orders conversations."""
    return _tag(await tags.create_tag(sessions, caller, body.name))


@router.get("/tags/{tag_id}", summary="Get a tag")
async def read_tag(tag_id: UUID, caller: InboxReader, sessions: SessionsDep) -> TagDetailAnswer:
    """With the number of conversations that would lose it."""
    tag, count = await tags.count_conversations(sessions, caller.account_id, tag_id)
    return TagDetailAnswer(id=tag.id, name=tag.name, conversation_count=count)


@router.patch("/tags/{tag_id}", summary="Rename a tag")
async def rename_tag(tag_id: UUID, body: TagRequest, caller: InboxEditor, sessions: SessionsDep) -> TagAnswer:
    """It is called so wherever it is."""
    return _tag(await tags.rename_tag(sessions, caller, tag_id, body.name))


@router.delete("/tags/{tag_id}", status_code=204, summary="Delete a tag")
async def delete_tag(tag_id: UUID, caller: InboxEditor, sessions: SessionsDep) -> None:
    """It goes from all conversations; they stay as they are otherwise."""
    await tags.delete_tag(sessions, caller, tag_id)


@router.get("/saved-views", summary="List saved views")
async def list_saved_views(caller: InboxReadingPerson, sessions: SessionsDep) -> SavedViewList:
    """One's own."""
    return SavedViewList(items=[_view(each) for each in await saved_views.list_views(sessions, caller)])


@router.post("/saved-views", status_code=201, summary="Save a view")
async def save_view(
    body: SavedViewRequest, caller: InboxReadingPerson, sessions: SessionsDep
) -> SavedViewAnswer:
    """Filters of the list under a name, for oneself; they replace those of a view that has this name."""
    filters = body.filters.model_dump(mode="json", exclude_defaults=True)
    return _view(await saved_views.save_view(sessions, caller, body.name, filters))


@router.patch("/saved-views/{view_id}", summary="Rename a saved view")
async def rename_saved_view(
    view_id: UUID, body: ViewNameRequest, caller: InboxReadingPerson, sessions: SessionsDep
) -> SavedViewAnswer:
    """Its filters stay."""
    return _view(await saved_views.rename_view(sessions, caller, view_id, body.name))


@router.delete("/saved-views/{view_id}", status_code=204, summary="Delete a saved view")
async def delete_saved_view(view_id: UUID, caller: InboxReadingPerson, sessions: SessionsDep) -> None:
    """Conversations stay as they are."""
    await saved_views.delete_view(sessions, caller, view_id)


@router.get("/muted-kinds", summary="List muted kinds of notices")
async def list_muted_kinds(caller: InboxReader, sessions: SessionsDep) -> MutedKinds:
    """What arrives closed and read in this account, and what else could."""
    return await _muted(sessions, caller.account_id)


@router.put("/muted-kinds/{kind}", summary="Mute a kind of notices")
async def mute_kind(kind: MutableKind, caller: InboxEditor, sessions: SessionsDep) -> MutedKinds:
    """From now on they arrive closed and read, for the whole account. They are never hidden."""
    await muted_kinds.mute(sessions, caller, kind)
    return await _muted(sessions, caller.account_id)


@router.delete("/muted-kinds/{kind}", status_code=204, summary="Unmute a kind of notices")
async def unmute_kind(kind: MutableKind, caller: InboxEditor, sessions: SessionsDep) -> None:
    """From now on they arrive open and unread again."""
    await muted_kinds.unmute(sessions, caller, kind)


async def _muted(sessions: Sessions, account_id: UUID) -> MutedKinds:
    muted = await muted_kinds.list_muted(sessions, account_id)
    return MutedKinds(muted=[MutableKind(kind) for kind in muted], mutable=list(MutableKind))


def _named(found: Sequence[choices.Named]) -> NamedList:
    return NamedList(items=[NamedAnswer(id=each.id, name=each.name) for each in found])


def _tag(tag: Tag) -> TagAnswer:
    return TagAnswer(id=tag.id, name=tag.name)


def _view(view: SavedView) -> SavedViewAnswer:
    return SavedViewAnswer(id=view.id, name=view.name, filters=ViewFilters.model_validate(view.filters))
