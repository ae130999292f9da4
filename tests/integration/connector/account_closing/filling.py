"""An account of which every table has a row, each referring to the others wherever it can."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from shared.blobs import BlobStore
from shared.crypto.envelope import Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import Base, SealedColumn
from tests.counted_rows import everything_counted

# What no rule of the table tells.
_VALUES: Final[dict[tuple[str, str], Any]] = {
    ("accepted_mail", "peer_address"): "192.0.2.1",
    ("audit_log", "actor_kind"): "system",
    ("integrations", "seller_id"): "A1SELLER",
    ("webhooks", "kinds"): ["message.received"],
    ("api_keys", "hint"): "abcd",
    ("integrations", "name"): "Lampen",
    ("integrations", "name_key"): "lampen",
    ("notices", "kind"): "lock_red",
    ("read_log", "kind"): "conversation",
    ("read_log", "subject_id"): new_id(),
}
_ONE_OF: Final = re.compile(r"(\w+) IN \('([^']+)'")


def tables_of_accounts() -> list[Table]:
    """Whatever belongs to an account, what is referred to first."""
    return [table for table in Base.metadata.sorted_tables if "account_id" in table.columns]


async def fill(session: AsyncSession, account_id: UUID, blobs: BlobStore) -> None:
    """One row in each table, and a blob wherever there may be one; the account and its keys are there."""
    made: dict[str, dict[str, Any]] = {}
    for table in tables_of_accounts():
        row = {
            column.name: value
            for column in table.columns
            if (value := _value(table, column, account_id, made)) is not None
        }
        if "blob_key" in table.columns:
            blob = await blobs.put(row["id"], b"sealed")
            row |= {"blob_key": blob.key, "blob_digest": blob.digest}
        if table.name != "account_keys":
            await session.execute(table.insert().values(row))
        made[table.name] = row


async def rows_left(sessions: Sessions, account_id: UUID) -> dict[str, int]:
    """In which tables the account has how many rows."""
    left = {}
    async with sessions.begin() as session:
        for table in tables_of_accounts():
            count = await session.scalar(
                select(func.count()).select_from(table).where(table.c.account_id == account_id)
            )
            if count:
                left[table.name] = count
    return left


def _value(table: Table, column: "Column[Any]", account_id: UUID, made: dict[str, dict[str, Any]]) -> Any:
    if column.name == "account_id":
        return account_id
    if (table.name, column.name) in _VALUES:
        return _VALUES[table.name, column.name]
    referred = _referred(table, column)
    if referred is not None:
        return made[referred[0]][referred[1]] if referred[0] != table.name else None
    is_needed = (not column.nullable and column.server_default is None) or column.name == "token_hash"
    if not is_needed:
        return None
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            allowed = _ONE_OF.match(str(constraint.sqltext))
            if allowed and allowed[1] == column.name:
                return allowed[2]
    return _of_type(column)


def _referred(table: Table, column: "Column[Any]") -> tuple[str, str] | None:
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint) and constraint.referred_table.name != "accounts":
            for element in constraint.elements:
                if element.parent is column:
                    return constraint.referred_table.name, element.column.name
    return None


def _of_type(column: "Column[Any]") -> Any:
    if isinstance(column.type, SealedColumn):
        return Sealed(b"sealed")
    if isinstance(column.type, ARRAY):
        return []
    kind = column.type.python_type
    if isinstance(column.type, JSONB):
        return {}
    values: dict[type, Any] = {
        UUID: new_id(),
        str: f"x{new_id().hex}",
        bytes: new_id().bytes,
        datetime: datetime.now(UTC),
        int: 1,
        bool: False,
    }
    return values[kind]


async def multiply(
    owner: "asyncpg.Connection[asyncpg.Record]", account_id: UUID, count: int, **more: int
) -> None:
    """So many rows, and `more` in the tables that are named, like the one that the account has in each table, which refer to nothing; of further accounts where one has only one."""
    await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for table in tables_of_accounts():
        names = [column.name for column in table.columns if column.computed is None]
        other = _other_values(table)
        values = ", ".join(other.get(name, name) for name in names)
        await owner.execute(
            f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {values}"
            f" FROM (SELECT * FROM {table.name} WHERE account_id = $1 LIMIT 1) one, generate_series(1, $2::integer) number"
            " ON CONFLICT DO NOTHING",
            account_id,
            more.get(table.name, count),
            timeout=None,
        )
    await owner.execute("RESET session_replication_role")
    await owner.execute("ANALYZE", timeout=None)


async def looked_through(
    owner: "asyncpg.Connection[asyncpg.Record]", *, application_name: str = "tests"
) -> dict[str, int]:
    """How many rows of each table were read without an index by this connection and those of this application, which have been closed."""
    await everything_counted(owner, application_name=application_name)
    rows = await owner.fetch("SELECT relname, seq_tup_read FROM pg_stat_user_tables")
    return {row["relname"]: row["seq_tup_read"] for row in rows}


def _other_values(table: Table) -> dict[str, str]:
    """What has to differ between two rows of a table, and how."""
    unique = [
        list(constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
    ]
    unique += [list(index.columns) for index in table.indexes if index.unique]
    made: dict[str, str] = {}
    for columns in unique:
        if made.keys() & {column.name for column in columns}:
            continue
        by_kind = {column.type.python_type: column.name for column in columns if column.name != "account_id"}
        if UUID in by_kind:
            made[by_kind[UUID]] = _unless_null(by_kind[UUID], "uuidv7()")
        elif bytes in by_kind:
            made[by_kind[bytes]] = _unless_null(by_kind[bytes], "sha256(number::text::bytea)")
        elif any(column.name == "account_id" for column in columns):
            made["account_id"] = "uuidv7()"
        else:
            made[by_kind[str]] = _unless_null(by_kind[str], f"'{table.name}' || number")
    return made


def _unless_null(column: str, value: str) -> str:
    return f"CASE WHEN {column} IS NOT NULL THEN {value} END"
