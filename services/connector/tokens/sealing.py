"""How tokens lie in the grants' rows: each sealed for its own column of its own row."""

from uuid import UUID

from pydantic import SecretStr

from services.connector.amazon.lwa import Tokens
from shared.crypto.envelope import AccountKeys, Place, Sealed


def seal_tokens(account_keys: AccountKeys, grant_id: UUID, given: Tokens) -> dict[str, Sealed]:
    """What Amazon gave, by column. Without a refresh token, the one that is there stays."""
    sealed = {
        "access_token": account_keys.seal_text(
            _place("access_token", grant_id), given.access_token.get_secret_value()
        )
    }
    if given.refresh_token is not None:
        sealed["refresh_token"] = account_keys.seal_text(
            _place("refresh_token", grant_id), given.refresh_token.get_secret_value()
        )
    return sealed


def open_access_token(account_keys: AccountKeys, grant_id: UUID, sealed: Sealed) -> SecretStr:
    return SecretStr(account_keys.open_text(_place("access_token", grant_id), sealed))


def open_refresh_token(account_keys: AccountKeys, grant_id: UUID, sealed: Sealed) -> SecretStr:
    return SecretStr(account_keys.open_text(_place("refresh_token", grant_id), sealed))


def _place(column: str, grant_id: UUID) -> Place:
    return Place("grants", column, grant_id)
