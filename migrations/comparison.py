"""What counts when the database is compared with shared/tables/."""

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.schema import SchemaItem

from shared.tables import Base
from shared.tables.base import BY_PARTITION


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leaves out the partitions, which are made as time goes on."""
    return kind != "table" or name in Base.metadata.tables


def is_not_of_a_partition(
    item: SchemaItem, _name: str | None, _kind: str, reflected: bool, _other: object
) -> bool:
    """Leaves out the foreign keys that each partition has for itself, and those that PostgreSQL adds for each that a key refers to."""
    if not isinstance(item, ForeignKeyConstraint):
        return True
    if not reflected:
        return not item.info.get(BY_PARTITION)
    return all(element.target_fullname.partition(".")[0] in Base.metadata.tables for element in item.elements)
