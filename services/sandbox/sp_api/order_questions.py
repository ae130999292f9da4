"""What searchOrders is asked: its parameters, held against Amazon's rules, and the tokens of its pages."""

import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.datastructures import QueryParams

from services.sandbox.sp_api.operation import SpApiRefused, refused
from services.sandbox.sp_api.order_json import DATA_SETS
from services.sandbox.state.memory import BoundedDict
from services.sandbox.state.orders import FulfilledBy, PlacedOrder, Status
from shared.marketplaces import BY_COUNTRY, BY_ID, Region

_MAX_PAGE: Final = 100
_MAX_MARKETPLACES: Final = 50
_TOKEN_LIFE: Final = timedelta(hours=24)
# The newest end of a search; what changed later is found by the next one.
_NOT_YET: Final = timedelta(minutes=2)
_YEARS_BACK: Final = timedelta(days=730)
_SINCE_2016: Final = frozenset({"JP", "AU", "SG"})
_FREE_TO_CHANGE: Final = frozenset({"paginationToken", "maxResultsPerPage", "includedData"})
_PARAMETERS: Final = frozenset(
    {
        *("createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore", "fulfillmentStatuses"),
        *("marketplaceIds", "fulfilledBy", *_FREE_TO_CHANGE),
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """What one search is for. `before` is what was asked, or two minutes before the first page."""

    after: datetime
    before: datetime
    by_update: bool
    marketplaces: frozenset[str]
    statuses: frozenset[str]
    fulfilled_by: frozenset[str]

    def is_met_by(self, placed: PlacedOrder, now: datetime) -> bool:
        country = placed.order.country
        if now - placed.created_at > _YEARS_BACK and country not in _SINCE_2016:
            return False
        return (
            (not self.marketplaces or BY_COUNTRY[country].marketplace_id in self.marketplaces)
            and (not self.statuses or placed.status in self.statuses)
            and (not self.fulfilled_by or placed.fulfilled_by in self.fulfilled_by)
            and (placed.searchable_at is None or placed.searchable_at <= now)
        )


@dataclass(frozen=True, slots=True)
class PageToken:
    """Where the next page of a search begins: behind the order of this time and id."""

    seller_id: str
    parameters: Mapping[str, str]
    question: Question
    time: datetime
    order_id: str
    expires_at: datetime


PageTokens = BoundedDict[PageToken]


def give_token(
    tokens: PageTokens,
    seller_id: str,
    query: QueryParams,
    question: Question,
    *,
    last: tuple[datetime, str],
    now: datetime,
) -> str:
    """A token for the page after the order `last`."""
    token = secrets.token_urlsafe(30)
    tokens.put(token, PageToken(seller_id, _fixed(query), question, *last, now + _TOKEN_LIFE))
    return token


def take_token(
    tokens: PageTokens, seller_id: str, query: QueryParams, now: datetime, *, is_expired: bool
) -> PageToken:
    """The page that a token stands for. Raises SpApiRefused for one that is unknown or too old, or came with other parameters."""
    token = tokens.get(query["paginationToken"])
    if token is None or token.seller_id != seller_id:
        raise invalid("paginationToken is not valid.")
    if is_expired or now >= token.expires_at:
        raise invalid("paginationToken has expired.")
    if _fixed(query) != token.parameters:
        raise invalid("The parameters differ from those of the request that gave this paginationToken.")
    return token


def read_question(query: QueryParams, region: Region, now: datetime) -> Question:
    """The parameters of a search. Raises SpApiRefused."""
    by_update = "lastUpdatedAfter" in query
    if by_update == ("createdAfter" in query):
        raise invalid("Exactly one of createdAfter and lastUpdatedAfter is required.")
    name, other = ("lastUpdated", "created") if by_update else ("created", "lastUpdated")
    if f"{other}Before" in query:
        raise invalid(f"{other}Before cannot be combined with {name}After.")
    after = _time(query, f"{name}After")
    before = _time(query, f"{name}Before") if f"{name}Before" in query else max(after, now - _NOT_YET)
    if before < after:
        raise invalid(f"{name}Before must not be before {name}After.")
    if f"{name}Before" in query and before > now - _NOT_YET:
        raise invalid(f"{name}Before must be at least two minutes before the time of the request.")
    return Question(
        after,
        before,
        by_update,
        _marketplaces(query, region),
        _choices(query, "fulfillmentStatuses", frozenset(Status)),
        _choices(query, "fulfilledBy", frozenset(FulfilledBy)),
    )


def read_page_size(query: QueryParams) -> int:
    """How many orders a page has at most. Raises SpApiRefused."""
    text = query.get("maxResultsPerPage", str(_MAX_PAGE))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MAX_PAGE:
        raise invalid("maxResultsPerPage must be between 1 and 100.")
    return int(text)


def read_included_data(query: QueryParams) -> frozenset[str]:
    """The data sets that the answer shall have. Raises SpApiRefused."""
    return _choices(query, "includedData", DATA_SETS)


def refuse_unknown_parameters(query: QueryParams, known: AbstractSet[str] = _PARAMETERS) -> None:
    """Raises SpApiRefused for a parameter that the operation does not have, or that is there twice."""
    names = [name for name, _ in query.multi_items()]
    if not known >= set(names) or len(names) != len(set(names)):
        raise invalid("A parameter is unknown or repeated; lists are separated by commas.")


def invalid(message: str) -> SpApiRefused:
    return refused(400, "InvalidInput", message, "invalid")


def _fixed(query: QueryParams) -> dict[str, str]:
    return {name: value for name, value in query.items() if name not in _FREE_TO_CHANGE}


def _time(query: QueryParams, name: str) -> datetime:
    try:
        time = datetime.fromisoformat(query[name])
    except ValueError:
        raise invalid(f"{name} is not an ISO 8601 time.") from None
    if time.tzinfo is None:
        raise invalid(f"{name} has no time zone.")
    return time.astimezone(UTC)


def _list(query: QueryParams, name: str) -> frozenset[str]:
    return frozenset(query[name].split(",")) if name in query else frozenset()


def _choices(query: QueryParams, name: str, known: AbstractSet[str]) -> frozenset[str]:
    chosen = _list(query, name)
    if not chosen <= known:
        raise invalid(f"{name} has an unknown value.")
    return chosen


def _marketplaces(query: QueryParams, region: Region) -> frozenset[str]:
    wanted = _list(query, "marketplaceIds")
    if len(wanted) > _MAX_MARKETPLACES or any(each not in BY_ID for each in wanted):
        raise invalid("marketplaceIds has an unknown value, or more than 50.")
    if any(BY_ID[each].region is not region for each in wanted):
        message = "The marketplaces you provided are not valid for region."
        raise refused(403, "Unauthorized", message, "other_region")
    return wanted
