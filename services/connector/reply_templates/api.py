"""Routes: templates of replies."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from services.connector.dependencies import (
    IfMatch,
    InboxEditor,
    InboxReader,
    KeyringDep,
    Now,
    ReadLogDep,
    SessionsDep,
)
from services.connector.http.etags import etag_of
from services.connector.http.routers import api_router
from services.connector.reply_templates import service
from services.connector.reply_templates.placeholders import Placeholder
from services.connector.reply_templates.schemas import (
    FilledTemplate,
    TemplateAnswer,
    TemplateChange,
    TemplateItem,
    TemplateLanguage,
    TemplateList,
    TemplateRequest,
)
from shared.tables import ReplyTemplate

router = api_router("replies")


@router.get("/reply-templates", summary="List reply templates")
async def list_reply_templates(
    caller: InboxReader, sessions: SessionsDep, language: Annotated[TemplateLanguage | None, Query()] = None
) -> TemplateList:
    """All of them, or those in one language, without their texts; two hundred at most."""
    found = await service.list_templates(sessions, caller.account_id, language)
    return TemplateList(
        items=[
            TemplateItem(id=each.id, name=each.name, language=each.language, updated_at=each.updated_at)
            for each in found
        ],
        placeholders=[placeholder.value for placeholder in Placeholder],
    )


@router.post("/reply-templates", status_code=201, summary="Create a reply template")
async def create_reply_template(
    body: TemplateRequest, caller: InboxEditor, response: Response, sessions: SessionsDep, now: Now
) -> TemplateAnswer:
    """A text that agents send again and again, in one language."""
    template = await service.create_template(
        sessions, caller, name=body.name, language=body.language, text=body.text, now=now
    )
    return _shown(template, response)


@router.get("/reply-templates/{template_id}", summary="Read a reply template")
async def read_reply_template(
    template_id: UUID, caller: InboxReader, response: Response, sessions: SessionsDep
) -> TemplateAnswer:
    """The template with its text, as it was written."""
    return _shown(await service.get_template(sessions, caller.account_id, template_id), response)


@router.patch("/reply-templates/{template_id}", summary="Change a reply template")
async def change_reply_template(
    *,
    template_id: UUID,
    body: TemplateChange,
    caller: InboxEditor,
    response: Response,
    sessions: SessionsDep,
    now: Now,
    if_match: IfMatch = None,
) -> TemplateAnswer:
    """Name, language, text."""
    template = await service.change_template(
        sessions,
        caller,
        template_id,
        name=body.name,
        language=body.language,
        text=body.text,
        if_match=if_match,
        now=now,
    )
    return _shown(template, response)


@router.delete("/reply-templates/{template_id}", status_code=204, summary="Delete a reply template")
async def delete_reply_template(template_id: UUID, caller: InboxEditor, sessions: SessionsDep) -> None:
    """Replies that were written with it stay as they are."""
    await service.delete_template(sessions, caller, template_id)


@router.get(
    "/conversations/{conversation_id}/reply-templates/{template_id}",
    summary="Fill a reply template for a conversation",
)
async def fill_reply_template(
    *,
    conversation_id: UUID,
    template_id: UUID,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    read_log: ReadLogDep,
) -> FilledTemplate:
    """Its text with the values of this conversation. What has no value stays, and is named."""
    filled = await service.fill_template(sessions, keyring, caller, conversation_id, template_id)
    await read_log.conversation(caller, conversation_id)
    return FilledTemplate(text=filled.text, missing=list(filled.missing))


def _shown(template: ReplyTemplate, response: Response) -> TemplateAnswer:
    response.headers["ETag"] = etag_of(template.version)
    return TemplateAnswer(
        id=template.id,
        name=template.name,
        language=template.language,
        text=template.body_text,
        updated_at=template.updated_at,
    )
