"""Where the REST API lies on this host."""

from typing import Final

API_PREFIX: Final = "/api/v1"
