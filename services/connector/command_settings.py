"""Which command reads which settings: the page of all settings is written from it."""

from collections.abc import Mapping
from typing import Final

from pydantic_settings import BaseSettings

from services.connector.account_closing.commands import ErasureSettings
from services.connector.accounts.commands import AccountSettings
from services.connector.amazon_pauses.commands import PauseSettings
from services.connector.keys.commands import ClientSecretSettings, DataKeySettings, KeySettings
from services.connector.privacy.commands import BuyerSettings
from services.connector.settings import ConnectorSettings
from services.connector.users.commands import PeopleSettings

SETTINGS: Final[Mapping[str, type[BaseSettings]]] = {
    "`serve`": ConnectorSettings,
    "`worker`": ConnectorSettings,
    "`doctor`": ConnectorSettings,
    "`compliance`": ConnectorSettings,
    "`accounts create`": AccountSettings,
    "`accounts erase`": ErasureSettings,
    "`users`": PeopleSettings,
    "`amazon`": PauseSettings,
    "`keys`": KeySettings,
    "`keys rotate-data-keys`": DataKeySettings,
    "`keys client-secret`": ClientSecretSettings,
    "`privacy`": BuyerSettings,
}
