"""What counts when the database is compared with shared/tables.py."""

from shared.tables import Base


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leaves out the queue library's tables and the partitions, which are made as time goes on."""
    return kind != "table" or name in Base.metadata.tables


def is_named_by_us(_item: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
    """Leaves out the foreign keys that PostgreSQL adds for each partition: they bear names of its own making."""
    return not (
        reflected and kind == "foreign_key_constraint" and name is not None and not name.startswith("fk_")
    )
