"""How long a session lasts: whoever may edit general.admin is signed out sooner, by what their account says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.permissions import Level


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    """`idle`: without anything that a person does. `longest`: whatever they do."""

    idle: timedelta
    longest: timedelta

    def end(self, created_at: datetime, used_at: datetime) -> datetime:
        """When a session ends that was used then and not again."""
        return min(used_at + self.idle, created_at + self.longest)


USUAL: Final = SessionLifetime(idle=timedelta(hours=12), longest=timedelta(days=30))


def lifetime_of(general_admin: str, *, admin_session_hours: int, admin_idle_minutes: int) -> SessionLifetime:
    """The lifetime of the sessions of somebody with this level, in an account with these settings."""
    if Level(general_admin) is not Level.EDIT:
        return USUAL
    return SessionLifetime(
        idle=timedelta(minutes=admin_idle_minutes), longest=timedelta(hours=admin_session_hours)
    )
