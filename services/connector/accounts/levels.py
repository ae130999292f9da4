"""What a row says of somebody's permissions: each has a column of its name, `general_admin` for `general.admin`."""

from collections.abc import Mapping
from typing import Any, Final

from shared.permissions import Level, Permission

Levels = Mapping[Permission, Level]

# What people are given. They write to buyers as far as they may edit the inbox; only an API key is allowed it by itself.
PERMISSIONS_OF_PEOPLE: Final = tuple(
    permission for permission in Permission if permission is not Permission.INBOX_REPLIES
)


def column_of(permission: Permission) -> str:
    """The column of users and of API keys that holds the level."""
    return permission.value.replace(".", "_")


def levels_of_user(row: Any, prefix: str = "") -> dict[Permission, Level]:
    """The levels of a row that has a user's columns, by themselves or with a prefix."""
    levels = {
        permission: Level(getattr(row, prefix + column_of(permission)))
        for permission in PERMISSIONS_OF_PEOPLE
    }
    return levels | {Permission.INBOX_REPLIES: levels[Permission.INBOX_MESSAGES]}


def levels_of_key(row: Any, prefix: str = "") -> dict[Permission, Level]:
    """The levels of a row that has an API key's columns, by themselves or with a prefix."""
    return {permission: Level(getattr(row, prefix + column_of(permission))) for permission in Permission}


def at_most(own: Levels, most: Levels) -> dict[Permission, Level]:
    """Of each permission the lower level: a key never gives more than its creator has."""
    return {
        permission: level if most[permission].includes(level) else most[permission]
        for permission, level in own.items()
    }
