"""Who of an account has to have a second factor."""

from shared.permissions import Level
from shared.tables import SecondFactor


def is_required(second_factor: str, general_admin: str) -> bool:
    """Whether an account with this setting demands one of somebody with this level."""
    match SecondFactor(second_factor):
        case SecondFactor.EVERYBODY:
            return True
        case SecondFactor.ADMINS:
            return Level(general_admin) is Level.EDIT
        case SecondFactor.OPTIONAL:
            return False
