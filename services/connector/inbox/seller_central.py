"""Where a conversation is in Amazon's own pages: the seller's box for it, with Amazon's mark "no response needed". Pure."""

import re
from typing import Final

from shared.marketplaces import BY_COUNTRY, reach

# As Amazon's own links in buyers' mails name a thread.
_TAGGED: Final = re.compile(r"[^@]+\+([0-9A-Za-z][0-9A-Za-z-]{7,63})@[^@]+")


def thread_tag_of(buyer_address: str | None) -> str | None:
    """The thread that a buyer's address names behind its plus sign."""
    found = None if buyer_address is None else _TAGGED.fullmatch(buyer_address)
    return None if found is None else found[1]


def thread_link(country: str, thread_tag: str | None, amazon_base_url: str | None) -> str:
    """The thread in the Seller Central of that country; its messages as a whole where the thread is not known."""
    url = f"https://{BY_COUNTRY[country].seller_central_host}/messaging/inbox"
    if thread_tag is not None:
        url += f"?fi=caseId&ss={thread_tag}&cc={thread_tag}"
    return reach(url, amazon_base_url)
