"""A SELECT that is compiled once and asked of asyncpg itself, for what every request asks.

SQLAlchemy's way from a statement to its rows costs as much processor time as asking; the statement is still written with it, and
the connection is one of its pool.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from shared.database import Reader, named_failures


class CompiledSelect:
    """Its parameters are the statement's `bindparam`s, by their names.

    Columns need unique names, and types that asyncpg itself knows: nothing is converted, neither on the way in nor out.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        compiled = statement.compile(dialect=dialect.dialect())  # type: ignore[no-untyped-call]
        self._sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    async def all(self, reader: Reader, **parameters: object) -> Sequence[asyncpg.Record]:
        """The rows. What a session has not flushed is not among them. Raises what is in UNAVAILABLE when the database is away."""
        given = self._constants | parameters
        connection: AsyncConnection = (
            await reader.connection() if isinstance(reader, AsyncSession) else reader
        )
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        with named_failures():
            rows: list[asyncpg.Record] = await driver.fetch(self._sql, *(given[name] for name in self._names))
        return rows

    async def one_or_none(self, reader: AsyncConnection, **parameters: object) -> asyncpg.Record | None:
        """The only row, or None."""
        rows = await self.all(reader, **parameters)
        return rows[0] if rows else None
