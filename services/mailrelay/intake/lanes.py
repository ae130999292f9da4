"""Which lane an accepted mail goes into: what is known of it before anybody has read it.

The envelope's sender can be invented; so a lane is an order of work and no verdict. What somebody gains by naming Amazon there is a
place in turns among Amazon's mail, by account and address as everywhere.
"""

from typing import Final

from shared.lanes import Lane
from shared.marketplaces import MARKETPLACES

# Amazon's shops, and the mail service through which it sends: bounces go back there.
_SENDERS: Final = frozenset({*(shop.retail_domain for shop in MARKETPLACES), "amazonses.com"})


def lane_of(sender: str, *, is_from_known_network: bool, is_in_blob_store: bool) -> Lane:
    """`sender`: the path of MAIL. `is_from_known_network`: mail of Amazon's comes from there."""
    if not is_from_known_network and not _names_amazon(sender):
        return Lane.OTHER
    return Lane.LARGE if is_in_blob_store else Lane.QUICK


def _names_amazon(sender: str) -> bool:
    domain = sender.rpartition("@")[2].lower().rstrip(".")
    labels = domain.split(".")
    return any(".".join(labels[first:]) in _SENDERS for first in range(max(0, len(labels) - 8), len(labels)))
