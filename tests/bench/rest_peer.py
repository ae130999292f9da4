"""The peer for `rest`: the lists written for speed alone, as bare routes with one asyncpg query each, no caller, and nothing sealed."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI, Response

_QUERY = """
    SELECT i.id, i.source, i.lock, i.lock_since, i.summary, i.summary_countries, i.worst_check, i.sync_status, i.synced_at, i.store_name, i.seller_id, i.uses_api, i.name, i.region,
        i.home_country, r.local_part, i.last_message_at, i.last_order_at, i.created_at, i.owner_id, i.paused_at, i.rests_until,
        i.data_after_rest, s.cursor_at
    FROM integrations i LEFT JOIN relay_addresses r ON r.integration_id = i.id AND r.retired_at IS NULL
        LEFT JOIN order_syncs s ON s.integration_id = i.id
    WHERE i.account_id = $1 AND i.removed_at IS NULL AND i.disconnected_at IS NULL ORDER BY i.id LIMIT 101
"""
_UNNAMED = "It has no name yet. Once it has one, the store gets its address."
_CONVERSATIONS = """
    SELECT c.id, c.integration_id, i.name, p.buyer_name, p.subject, p.snippet, c.order_id, c.asin, c.country, c.status, c.kind,
        c.is_unread, c.answer_due_at, c.message_count, c.last_message_at, c.last_reply_at, c.assignee_id, c.tag_ids, c.snoozed_until, c.has_files,
        EXISTS (SELECT FROM outbound_messages o WHERE o.conversation_id = c.id AND o.state IN ('failed', 'perhaps_sent') AND o.dismissed_at IS NULL)
            AS has_failed_reply
    FROM conversations c JOIN integrations i ON i.id = c.integration_id JOIN plain_texts p ON p.conversation_id = c.id
    WHERE c.account_id = $1 AND c.merged_into IS NULL AND c.status <> 'quarantine'
    ORDER BY c.last_message_at DESC, c.id DESC LIMIT 51
"""


def create_peer(dsn: str, account_id: UUID) -> FastAPI:
    pools: list[asyncpg.Pool] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn, min_size=10, max_size=10) as pool:
            pools.append(pool)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/api/v1/integrations")
    async def integrations() -> Response:
        rows = await pools[0].fetch(_QUERY, account_id)
        return _page([_item(row) for row in rows[:100]])

    @app.get("/api/v1/conversations")
    async def conversations() -> Response:
        rows = await pools[0].fetch(_CONVERSATIONS, account_id)
        return _page([_conversation(row) for row in rows[:50]])

    return app


def _page(items: list[dict[str, object]]) -> Response:
    page = {"items": items, "next_cursor": None}
    body = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
    return Response(body, media_type="application/json")


def _conversation(row: asyncpg.Record) -> dict[str, object]:
    return {
        "id": str(row["id"]),
        "integration": {"id": str(row["integration_id"]), "name": row["name"]},
        "buyer_name": row["buyer_name"],
        "subject": row["subject"],
        "snippet": row["snippet"],
        "order_id": row["order_id"],
        "asin": row["asin"],
        "country": row["country"],
        "status": row["status"],
        "kind": row["kind"],
        "unread": row["is_unread"],
        "answer_due_at": _time(row["answer_due_at"]),
        "message_count": row["message_count"],
        "last_message_at": _time(row["last_message_at"]),
        "last_reply_at": _time(row["last_reply_at"]),
        "assignee_id": str(row["assignee_id"]) if row["assignee_id"] else None,
        "tag_ids": [str(tag_id) for tag_id in row["tag_ids"]],
        "snoozed_until": _time(row["snoozed_until"]),
        "has_files": row["has_files"],
        "has_failed_reply": row["has_failed_reply"],
    }


def _item(row: asyncpg.Record) -> dict[str, object]:
    seller_id = row["seller_id"]
    return {
        "id": str(row["id"]),
        "source": row["source"],
        "lock": {"state": row["lock"], "since": _time(row["lock_since"])},
        # The benchmark's stores are as they were made: not decided yet.
        "summary": {"code": row["summary"], "text": _UNNAMED, "countries": row["summary_countries"]},
        "reason": row["worst_check"],
        # The benchmark's stores have not asked for orders.
        "sync": {"status": row["sync_status"], "at": _time(row["synced_at"]), "orders": row["cursor_at"]},
        "account": {
            "store_name": row["store_name"],
            "seller_id_masked": f"{seller_id[:2]}…{seller_id[-3:]}",
        },
        "name": row["name"],
        "region": row["region"],
        "home_country": row["home_country"],
        "uses_api": row["uses_api"],
        "address": f"{row['local_part']}@replyco.email" if row["local_part"] else None,
        "last_message_at": _time(row["last_message_at"]),
        "last_order_at": _time(row["last_order_at"]),
        "created_at": _time(row["created_at"]),
        "owner_id": str(row["owner_id"]) if row["owner_id"] else None,
        "paused_since": _time(row["paused_at"]),
        "rests_until": _time(row["rests_until"]),
        "data_after_rest": row["data_after_rest"],
    }


def _time(value: datetime | None) -> str | None:
    return value.isoformat().replace("+00:00", "Z") if value else None


if __name__ == "__main__":
    uvicorn.run(
        create_peer(sys.argv[1], UUID(sys.argv[2])),
        port=int(sys.argv[3]),
        loop="uvloop",
        http="h11",
        access_log=False,
        log_level="error",
    )
