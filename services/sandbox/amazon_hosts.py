"""The hosts of Amazon that the sandbox stands in for; in its paths each is the first segment."""

from typing import Final
from urllib.parse import urlsplit

from shared.marketplaces import LWA_ENDPOINT, MARKETPLACES, Region, api_url

LWA_HOST: Final = urlsplit(LWA_ENDPOINT).netloc
API_HOSTS: Final = {urlsplit(api_url(region)).netloc: region for region in Region}
SELLER_CENTRAL_HOSTS: Final = frozenset(m.seller_central_host for m in MARKETPLACES)
