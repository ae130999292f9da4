"""The base class, column types and defaults that all tables share."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

from shared.crypto.envelope import Sealed


class SealedColumn(TypeDecorator[Sealed]):
    """bytea in the database, `Sealed` in Python; no cryptography happens here."""

    impl: type[LargeBinary] = LargeBinary  # type: ignore[mutable-override]  # SQLAlchemy reads it from the class
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.ciphertext

    @override
    def process_result_value(self, value: Any | None, dialect: Dialect) -> Sealed | None:
        return None if value is None else Sealed(value)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        bytes: LargeBinary,
        float: DOUBLE_PRECISION,
        list[str]: ARRAY(Text),
        dict[str, str]: JSONB,
        Sealed: SealedColumn,
    }


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """The CHECK that holds a text column to the values of an enumeration."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


BY_PARTITION = "by_partition"

# In a sealed column's `info`: what its values are bound to (table, column, the column of this row that names the row), where that is not
# their own row's `id`; None if they are not sealed with the account's data key.
PLACE = "place"


def within_account(
    column: str,
    referred: str,
    *,
    ondelete: str | None = None,
    is_deferred: bool = False,
    is_by_partition: bool = False,
) -> ForeignKeyConstraint:
    """A reference to a row of the same account: a row of another account does not exist for it, whoever writes it.

    `is_by_partition`: both tables lie in partitions by account, and each partition has the reference to its fellow. To look for a row in
    all partitions takes PostgreSQL ten times as long.
    """
    return ForeignKeyConstraint(
        [column, "account_id"],
        [f"{referred}.id", f"{referred}.account_id"],
        ondelete=ondelete,
        deferrable=is_deferred or None,
        initially="DEFERRED" if is_deferred else None,
        info={BY_PARTITION: is_by_partition},
    )


def referable_within_account(table: str) -> Index:
    """What `within_account` refers to."""
    return Index(f"uq_{table}_id_account_id", "id", "account_id", unique=True)


# The current time, as a `server_default`.
now = text("now()")
