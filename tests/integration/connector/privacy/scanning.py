"""The look for words wherever anything is stored: plain columns as text and as bytes, sealed ones opened, mail with the mail workers' key."""

from typing import Final
from uuid import UUID

import asyncpg

from deploy.demo.postgres import OWNER
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.crypto.raw_mail import ContentKey, MailPrivateKey
from shared.driver import asyncpg_dsn
from shared.tables import Base, SealedColumn
from tests.conftest import Database

# Sealed with the mail's own key, which its content_key wraps.
_OF_MAIL: Final = "accepted_mail"
# A conversation's snippet is that of its newest message, sealed as it is there.
_COPIES: Final = {("conversations", "snippet"): ("messages", "snippet")}
_ROW_IDS: Final = {
    ("conversations", "snippet"): "snippet_message_id",
    ("idempotency_keys", "answer"): "row_id",
    ("smtp_configurations", "password"): "integration_id",
}


async def found_anywhere(
    database: Database, keys: AccountKeys, mail_key: MailPrivateKey, word: str
) -> dict[str, int]:
    """In how many rows of which `table.column` of an account the word stands, sealed or not."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    found: dict[str, int] = {}
    try:
        for table in Base.metadata.sorted_tables:
            plain = await connection.fetchval(
                f"SELECT count(*) FROM {table.name} t WHERE t::text LIKE $1 OR t::text LIKE $2",
                f"%{word}%",
                f"%{word.encode().hex()}%",
                timeout=None,
            )
            if plain:
                found[f"{table.name}.*"] = plain
            for column in (each.name for each in table.columns if isinstance(each.type, SealedColumn)):
                count = await _sealed(
                    connection,
                    table=table.name,
                    column=column,
                    keys=keys,
                    mail_key=mail_key,
                    word=word.encode(),
                )
                if count:
                    found[f"{table.name}.{column}"] = count
    finally:
        await connection.close()
    return found


async def _sealed(
    connection: "asyncpg.Connection[asyncpg.Record]",
    *,
    table: str,
    column: str,
    keys: AccountKeys,
    mail_key: MailPrivateKey,
    word: bytes,
) -> int:
    row_id = _ROW_IDS.get((table, column), "id")
    more = ", content_key" if table == _OF_MAIL else ""
    place = _COPIES.get((table, column), (table, column))
    count = 0
    async with connection.transaction():
        rows = connection.cursor(
            f"SELECT {row_id} AS row_id, {column} AS sealed{more} FROM {table} WHERE account_id = $1 AND {column} IS NOT NULL",
            keys.account_id,
            prefetch=1000,
        )
        async for row in rows:
            if table == _OF_MAIL:
                opened = _opened_mail(keys, mail_key, row, column)
            else:
                opened = _opened(keys, Place(*place, UUID(str(row["row_id"]))), row["sealed"])
            count += word in opened
    return count


def _opened(keys: AccountKeys, place: Place, sealed: bytes) -> bytes:
    try:
        return keys.open(place, Sealed(sealed))
    except SealBroken:  # what nobody can open says nothing
        return b""


def _opened_mail(keys: AccountKeys, mail_key: MailPrivateKey, row: asyncpg.Record, column: str) -> bytes:
    try:
        key = ContentKey.open_with(mail_key, keys.account_id, UUID(str(row["row_id"])), row["content_key"])
        return key.open(column, Sealed(row["sealed"]))
    except SealBroken:
        return b""
