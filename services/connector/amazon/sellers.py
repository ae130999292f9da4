"""The Sellers API: in which countries a store sells. It is also what proves the region of a grant."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import AmazonUnavailable
from shared.marketplaces import BY_ID, Marketplace

_OPERATION: Final = "getMarketplaceParticipations"
_PATH: Final = "/sellers/v1/marketplaceParticipations"


class _Answer(BaseModel):
    """Amazon adds fields; what we do not know is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Marketplace(_Answer):
    id: str


class _Participation(_Answer):
    isParticipating: bool  # noqa: N815  (Amazon's name)
    hasSuspendedListings: bool  # noqa: N815


class _Row(_Answer):
    marketplace: _Marketplace
    participation: _Participation
    storeName: str | None = None  # noqa: N815  (missing in older answers)


class _Participations(_Answer):
    payload: list[_Row]


@dataclass(frozen=True, slots=True)
class Participation:
    """One country of a store."""

    marketplace: Marketplace
    is_participating: bool
    has_suspended_listings: bool


@dataclass(frozen=True, slots=True)
class Store:
    """What Amazon says of a store in one region."""

    name: str | None
    participations: tuple[Participation, ...]

    @property
    def sells_somewhere(self) -> bool:
        return any(participation.is_participating for participation in self.participations)


async def get_marketplace_participations(api: SellerApi) -> Store:
    """Ask one region's endpoint. Amazon lists test shops beside its marketplaces: only ids of our table count.

    Raises what `SpApiClient.get` raises.
    """
    body = await api.get(_OPERATION, _PATH)
    try:
        rows = _Participations.model_validate(body).payload
    except ValidationError:
        raise AmazonUnavailable(reason="unexpected_form") from None
    known = {
        row.marketplace.id: Participation(
            BY_ID[row.marketplace.id],
            row.participation.isParticipating,
            row.participation.hasSuspendedListings,
        )
        for row in rows
        if row.marketplace.id in BY_ID and BY_ID[row.marketplace.id].region is api.region
    }
    names = [_printable(row.storeName) for row in rows if row.marketplace.id in known and row.storeName]
    return Store(names[0][:200] if names and names[0] else None, tuple(known.values()))


def _printable(name: str) -> str:
    """Without what PostgreSQL does not take and nobody sees."""
    return "".join(letter if letter.isprintable() else " " for letter in name).strip()
