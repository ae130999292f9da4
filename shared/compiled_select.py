"""A SELECT that is compiled once and asked of asyncpg itself, for what every request asks.

SQLAlchemy's way from a statement to its rows costs as much processor time as asking; the statement is still written with it, and
the connection is one of its pool.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Sessions, named_failures


class CompiledSelect:
    """Its parameters are the statement's `bindparam`s, by their names.

    Columns need unique names, and types that asyncpg itself knows: nothing is converted, neither on the way in nor out.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        compiled = statement.compile(dialect=dialect.dialect())  # type: ignore[no-untyped-call]
        self._sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    async def all(self, source: Sessions | AsyncSession, **parameters: object) -> Sequence[asyncpg.Record]:
        """The rows, asked for alone or inside of a session's transaction. What that has not flushed is not among them.

        Raises StatementCancelled, and what is in UNAVAILABLE when the database is away.
        """
        given = self._constants | parameters
        values = [given[name] for name in self._names]
        if isinstance(source, Sessions):
            return await source.fetch(self._sql, *values)
        driver = (await (await source.connection()).get_raw_connection()).driver_connection
        assert driver is not None
        with named_failures():
            rows: list[asyncpg.Record] = await driver.fetch(self._sql, *values)
        return rows

    async def one_or_none(
        self, source: Sessions | AsyncSession, **parameters: object
    ) -> asyncpg.Record | None:
        """The only row, or None."""
        rows = await self.all(source, **parameters)
        return rows[0] if rows else None
