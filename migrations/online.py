"""Changes that a large table bears while mail is accepted and read: what the migrations are made of.

Whatever takes long takes no lock that anybody waits for; whatever takes such a lock takes a moment, and waits for it no longer than
the lock time-out (migrations/upgrade.py), because everybody else queues behind it meanwhile. Nothing here is one transaction: a
migration that was cut off begins anew, and every step finds what it has done already.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from alembic import op
from sqlalchemy import CursorResult, text

# So many rows are changed in one transaction: a moment's work, and their locks are as short.
_BATCH: Final = 5_000


def add_check(table: str, name: str, condition: str) -> None:
    """New rows are held to it at once; the others are looked through while the table is written."""
    _add_constraint(table, name, f"CHECK ({condition})")


def add_foreign_key(
    table: str, name: str, columns: str, referred: str, *, referred_columns: str = "id", options: str = ""
) -> None:
    """New rows are held to it at once; the others are looked through while both tables are written."""
    what = f"FOREIGN KEY ({columns}) REFERENCES {referred} ({referred_columns}) {options}"
    if not _is_partitioned(table):
        _add_constraint(table, name, what)
        return
    # PostgreSQL before 18 knows no NOT VALID for the whole. That takes what its partitions have as it is, without looking at a row.
    for partition in _partitions_without_constraint(table, name):
        _add_constraint(partition, name, what)
    _add_constraint(table, name, what, is_proven=True)


def drop_constraint(table: str, name: str) -> None:
    """Whatever it held is allowed at once."""
    _alone(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")


def create_index(
    name: str,
    table: str,
    columns: str,
    *,
    where: str | None = None,
    using: str = "btree",
    is_unique: bool = False,
) -> None:
    """CREATE INDEX CONCURRENTLY; for a table in partitions, one after the other, as PostgreSQL cannot do by itself."""
    what = f"USING {using} ({columns})" + (f" WHERE {where}" if where else "")
    if not _is_partitioned(table):
        _create_concurrently(name, table, what, is_unique=is_unique)
        return
    _alone(f"CREATE {'UNIQUE ' if is_unique else ''}INDEX IF NOT EXISTS {name} ON ONLY {table} {what}")
    # The months that are made from here on have it from their beginning.
    for partition in _partitions_without_index(table, name):
        of_partition = f"{partition}_{name.partition(f'_{table}_')[2]}_ix"
        _create_concurrently(of_partition, partition, what, is_unique=is_unique)
        _alone(f"ALTER INDEX {name} ATTACH PARTITION {of_partition}")


def drop_index(name: str) -> None:
    """Nobody waits for it."""
    _alone(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", waits=True)


def in_batches(table: str, statement: str, *, key: str = "id", rows: int = _BATCH) -> None:
    """Run a statement for all rows of the table, so many at a time: those of `:first` < key <= `:last`."""
    first = UUID(int=0)
    ends = text(
        f"SELECT {key} FROM (SELECT {key} FROM {table} WHERE {key} > :first ORDER BY {key} LIMIT {rows}) batch"  # noqa: S608 - our own names
        f" ORDER BY {key} DESC LIMIT 1"
    )
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        while (last := connection.execute(ends, {"first": first}).scalar()) is not None:
            connection.execute(text(statement), {"first": first, "last": last})
            first = last


def _add_constraint(table: str, name: str, what: str, *, is_proven: bool = False) -> None:
    known = (
        "SELECT convalidated FROM pg_constraint WHERE conname = :name AND conrelid = CAST(:table AS regclass)"
    )
    is_validated = _ask(known, {"name": name, "table": table}).scalar()
    if is_validated is None:
        _alone(f"ALTER TABLE {table} ADD CONSTRAINT {name} {what}" + ("" if is_proven else " NOT VALID"))
    if not is_validated and not is_proven:
        _alone(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", waits=True)


def _create_concurrently(name: str, table: str, what: str, *, is_unique: bool = False) -> None:
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"
    found = _ask(is_valid, {"name": name}).scalar()
    if found is False:  # what is left of an attempt that was cut off
        drop_index(name)
    if not found:
        _alone(
            f"CREATE {'UNIQUE ' if is_unique else ''}INDEX CONCURRENTLY {name} ON {table} {what}", waits=True
        )


def _is_partitioned(table: str) -> bool:
    return bool(
        _ask(
            "SELECT relkind = 'p' FROM pg_class WHERE oid = CAST(:table AS regclass)", {"table": table}
        ).scalar()
    )


def _partitions_without_constraint(table: str, name: str) -> list[str]:
    """Those that do not have it, or not proven."""
    statement = """
        SELECT inhrelid::regclass::text FROM pg_inherits
        WHERE inhparent = CAST(:table AS regclass) AND NOT EXISTS (
            SELECT FROM pg_constraint WHERE conrelid = inhrelid AND conname = :name AND convalidated)
        ORDER BY 1
    """
    return list(_ask(statement, {"table": table, "name": name}).scalars())


def _partitions_without_index(table: str, index: str) -> list[str]:
    statement = """
        SELECT part.inhrelid::regclass::text FROM pg_inherits part
        WHERE part.inhparent = CAST(:table AS regclass) AND NOT EXISTS (
            SELECT FROM pg_inherits attached JOIN pg_index ON indexrelid = attached.inhrelid
            WHERE attached.inhparent = to_regclass(:index) AND indrelid = part.inhrelid)
        ORDER BY 1
    """
    return list(_ask(statement, {"table": table, "index": index}).scalars())


def _ask(statement: str, values: Mapping[str, str]) -> CursorResult[Any]:
    return op.get_bind().execute(text(statement), values)


def _alone(statement: str, *, waits: bool = False) -> None:
    """A statement in a transaction of its own. `waits`: it may take as long as it likes, because nobody waits for it."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        if not waits:
            connection.execute(text(statement))
            return
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text("SET statement_timeout = 0"))
        try:
            connection.execute(text(statement))
        finally:
            connection.execute(text("RESET lock_timeout"))
            connection.execute(text("RESET statement_timeout"))
