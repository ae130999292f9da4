"""What was read → what goes over the wire."""

from collections.abc import Sequence
from typing import Any

from services.connector.http.language import Language
from services.connector.http.paging import encode_cursor
from services.connector.inbox.answerable import not_answerable_text, why_not_answerable
from services.connector.inbox.changes import ConversationChanges
from services.connector.inbox.listing import Sort
from services.connector.inbox.merge_split import MergePreview
from services.connector.inbox.schemas import (
    AttachmentAnswer,
    AuthenticityAnswer,
    ConversationAnswer,
    ConversationChange,
    ConversationItem,
    ConversationPage,
    MergePreviewAnswer,
    MessageAnswer,
    MessageItem,
    NotAnswerableAnswer,
)
from services.connector.inbox.seller_central import thread_link
from services.connector.inbox.unsealing import OpenedConversation, OpenedMessage, ReadConversation
from services.connector.orders.views import snapshot_answer
from shared.marketplaces import BY_COUNTRY
from shared.tables import ConversationStatus


def conversation_page(found: Sequence[OpenedConversation], limit: int, sort: Sort) -> ConversationPage:
    """A page of the list. `found` has one more than `limit` if there is another page."""
    page = found[:limit]
    next_cursor = None
    if len(found) > limit:
        last = page[-1].listed
        next_cursor = encode_cursor(last.answer_due_at if sort is Sort.DUE else last.last_message_at, last.id)
    return ConversationPage(
        items=[conversation_item(conversation) for conversation in page], next_cursor=next_cursor
    )


def changes_of(asked: ConversationChange) -> ConversationChanges:
    """What a request wants to change."""
    return ConversationChanges(
        status=None if asked.status is None else ConversationStatus(asked.status),
        snoozed_until=asked.snoozed_until,
        is_unread=asked.unread,
        assigns="assignee_id" in asked.model_fields_set,
        assignee_id=asked.assignee_id,
        added_tags=asked.add_tag_ids,
        removed_tags=asked.remove_tag_ids,
    )


def conversation_item(opened: OpenedConversation) -> ConversationItem:
    row = opened.listed
    return {
        "id": row.id,
        "integration": {"id": row.integration_id, "name": row.integration_name},
        "buyer_name": opened.buyer_name,
        "subject": opened.subject,
        "snippet": opened.snippet,
        "order_id": row.order_id,
        "asin": row.asin,
        "country": row.country,
        "status": row.status,
        "kind": row.kind,
        "unread": row.is_unread,
        "answer_due_at": row.answer_due_at,
        "message_count": row.message_count,
        "last_message_at": row.last_message_at,
        "last_reply_at": row.last_reply_at,
        "assignee_id": row.assignee_id,
        "tag_ids": row.tag_ids,
        "snoozed_until": row.snoozed_until,
        "has_files": row.has_files,
        "has_failed_reply": row.has_failed_reply,
    }


def conversation_answer(
    read: ReadConversation, language: Language, amazon_base_url: str | None
) -> ConversationAnswer:
    reason = why_not_answerable(read.answering.facts)
    not_answerable: NotAnswerableAnswer | None = None
    if reason is not None:
        text = not_answerable_text(reason, language)
        not_answerable = {"reason": reason, "title": text.title, "cure": text.cure}
    listed = read.opened.listed
    country = listed.country if listed.country in BY_COUNTRY else listed.home_country
    return {
        **conversation_item(read.opened),
        "not_answerable": not_answerable,
        "being_answered_by": [
            {"user_id": writer.user_id, "name": writer.name, "since": writer.since}
            for writer in read.answering.writers
        ],
        "undoable_merge_id": read.answering.undoable_merge_id,
        "seller_central_url": thread_link(country, read.thread_tag, amazon_base_url),
    }


def merge_preview_answer(preview: MergePreview) -> MergePreviewAnswer:
    return {
        "source": conversation_item(preview.source.opened),
        "target": conversation_item(preview.target.opened),
        "merged": conversation_item(preview.merged.opened),
        "buyers_differ": preview.buyers_differ,
        "orders_differ": preview.orders_differ,
    }


def message_item(message: OpenedMessage) -> MessageItem:
    return MessageItem(**_message(message))


def message_answer(message: OpenedMessage) -> MessageAnswer:
    return MessageAnswer(**_message(message), authentication_results=message.authentication_results)


def _message(message: OpenedMessage) -> dict[str, Any]:
    row = message.row
    return {
        "id": row.id,
        "conversation_id": row.conversation_id,
        "kind": row.kind,
        "received_at": row.received_at,
        "sent_at": row.sent_at,
        "subject": message.subject,
        "sender_name": message.sender_name,
        "sender_address": message.sender_address,
        "text": message.text,
        "is_excerpt": row.is_excerpt,
        "quoted_text": message.quoted_text,
        "has_html": row.has_html,
        "has_formatting": row.has_formatting,
        "authenticity": AuthenticityAnswer.model_validate(
            {
                "verdict": row.authenticity,
                "reason": row.authenticity_reason,
                "sent_to": message.sent_to,
            }
        ),
        "from_amazon_domain": row.from_amazon_domain,
        "order_ids": row.order_ids,
        "asin": row.asin,
        "country": row.country,
        "language": row.language,
        "failure_reason": row.failure_reason,
        "answer_due_at": row.answer_due_at,
        "answer_settled_at": row.answer_settled_at,
        "truncated": row.truncated,
        "size": row.size,
        "attachments": [
            AttachmentAnswer.model_validate(
                {
                    "id": attachment.row.id,
                    "filename": attachment.filename,
                    "content_type": attachment.row.content_type,
                    "sniffed_type": attachment.row.sniffed_type,
                    "inline": attachment.row.content_id is not None,
                    "scan": attachment.row.scan,
                    "size": attachment.row.size,
                }
            )
            for attachment in message.attachments
        ],
        "order_snapshots": [snapshot_answer(snapshot) for snapshot in message.order_snapshots],
        "problem": None if message.is_whole else "seal_broken",
    }
