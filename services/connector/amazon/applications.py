"""The Application Management API: a new client secret. It comes by Amazon's queue; the old one is valid for seven more days."""

from typing import Final

from services.connector.amazon.access import Amazon
from services.connector.amazon.client import Call
from shared.marketplaces import Region

_SCOPE: Final = "sellingpartnerapi::client_credential:rotation"
_OPERATION: Final = "rotateApplicationClientSecret"
_PATH: Final = "/applications/2023-11-30/clientSecret"


async def rotate_client_secret(amazon: Amazon, region: Region) -> None:
    """Ask for a new secret, once: a second try could rotate twice.

    Raises ClientMisconfigured (also if the application is not enrolled for the notice), Throttled, AmazonUnavailable,
    TokenRefused, RoleMissing.
    """
    token = await amazon.lwa.grantless(_SCOPE)
    await amazon.sp_api.post(Call(_OPERATION, region, "", token), _PATH)
