"""The peer for `rest`: the list of integrations written for speed alone, as a bare route with one asyncpg query and no caller."""

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
    SELECT i.id, i.source, i.lock, i.lock_since, i.sync_status, i.synced_at, i.store_name, i.seller_id, i.name, i.region,
        i.home_country, r.local_part, i.last_message_at, i.last_order_at, i.created_at, i.owner_id, i.paused_at, i.rests_until,
        i.data_after_rest
    FROM integrations i LEFT JOIN relay_addresses r ON r.integration_id = i.id AND r.retired_at IS NULL
    WHERE i.account_id = $1 AND i.removed_at IS NULL AND i.disconnected_at IS NULL ORDER BY i.id LIMIT 101
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
        page = {"items": [_item(row) for row in rows[:100]], "next_cursor": None}
        body = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
        return Response(body, media_type="application/json")

    return app


def _item(row: asyncpg.Record) -> dict[str, object]:
    seller_id = row["seller_id"]
    return {
        "id": str(row["id"]),
        "source": row["source"],
        "lock": {"state": row["lock"], "since": _time(row["lock_since"])},
        "sync": {"status": row["sync_status"], "at": _time(row["synced_at"])},
        "account": {
            "store_name": row["store_name"],
            "seller_id_masked": f"{seller_id[:2]}…{seller_id[-3:]}",
        },
        "name": row["name"],
        "region": row["region"],
        "home_country": row["home_country"],
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
