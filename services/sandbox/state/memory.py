"""Everything that the sandbox remembers: in memory, bounded, gone on restart but for what `state_file` keeps.

Codes, tokens and sessions are only valid as Amazon's are: by this clock, for this client, this seller and this region.
"""

import secrets
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from services.sandbox.settings import SandboxSettings
from services.sandbox.state.calls import Call, Calls, Outcome
from services.sandbox.state.certificate_authority import CertificateAuthority
from services.sandbox.state.client_secrets import ClientSecrets
from services.sandbox.state.notices import Notices
from services.sandbox.state.openid_provider import OpenIdProvider
from services.sandbox.state.order_book import OrderBook
from services.sandbox.state.order_making import first_orders
from services.sandbox.state.orders import PlacedOrder
from services.sandbox.state.reports import Link, Reports
from services.sandbox.state.roles import RestrictedRole
from services.sandbox.state.scenarios import Scenarios
from services.sandbox.state.sellers import Order, Seller, make_seller, seeded_sellers
from services.sandbox.state.signing_key import SigningKey
from services.sandbox.state.threads import Threads
from shared.marketplaces import BY_BUYER_MAIL_DOMAIN, MARKETPLACES, Region

CODE_LIFE: Final = timedelta(minutes=5)
ACCESS_TOKEN_LIFE: Final = timedelta(seconds=3600)
REFRESH_TOKEN_LIFE: Final = timedelta(days=365)
APPSTORE_LIFE: Final = timedelta(minutes=10)

# Far above what a test run makes, and small enough to need no thought about memory.
MAX_ENTRIES: Final = 10_000
MAX_SELLERS: Final = 2_000
MAX_NOTIFICATIONS: Final = 100

Clock = Callable[[], datetime]
_Value = TypeVar("_Value")


def system_clock() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)


class BoundedDict(OrderedDict[str, _Value], Generic[_Value]):
    """A dictionary that drops its oldest entry when `put` finds it full."""

    def put(self, key: str, value: _Value) -> None:
        self[key] = value
        while len(self) > MAX_ENTRIES:
            self.popitem(last=False)


@dataclass(slots=True)
class Authorization:
    """A seller's consent. It stays revoked once it is; a new consent makes a new authorization."""

    seller_id: str
    region: Region
    client_id: str
    given_at: datetime
    revoked: bool = False


@dataclass(slots=True)
class Code:
    """An authorization code on its way through the browser."""

    authorization: Authorization
    redirect_uri: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token. A grantless one has scopes in place of an authorization; each dies with the secret that fetched it."""

    authorization: Authorization | None
    expires_at: datetime
    client_secret: str = field(repr=False)
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RestrictedToken:
    """A restricted data token: the access token that asked for it, and the methods and paths that it opens."""

    access: AccessToken
    resources: frozenset[tuple[str, str]]


@dataclass(slots=True)
class PlannedFailure:
    """An answer that the next `count` calls get in place of the right one."""

    count: int
    status: int
    body: str
    content_type: str
    grant_type: str | None = None
    seller_id: str | None = None


@dataclass(slots=True)
class Counters:
    """How often Amazon was called: tests ask this instead of mocking."""

    token: Counter[str] = field(default_factory=Counter)
    refreshes: Counter[str] = field(default_factory=Counter)  # by seller
    token_errors: Counter[str] = field(default_factory=Counter)
    participations: Counter[str] = field(default_factory=Counter)
    participations_refused: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    # By operation and caller: those that came within Amazon's rate, and those that did not.
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)  # downloads of reports, by seller
    consents: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)


class Sandbox:
    """The state of one sandbox, with the few rules that hold wherever it is used."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self.signing_key = SigningKey.shared()
        self.smtp_authority = CertificateAuthority.shared()
        self._told_of_clock: list[Callable[[], None]] = []
        self.reset()

    def reset(self) -> None:
        """Back to the start: seeded sellers, no tokens, no scenarios, the clock right again."""
        self._clock_offset = timedelta()
        self.sellers: dict[str, Seller] = {}
        self.scenarios = Scenarios()
        self.notices = Notices(self.settings.application_id, self.scenarios, self.now)
        self.orders = OrderBook(self.notices.tell_of_order)
        self._orders_by_id: dict[str, tuple[Seller, Order]] = {}
        self._orders_by_buyer: dict[tuple[str, str], tuple[Seller, Order]] = {}  # local part, country
        self._orders_by_tag: dict[str, tuple[Seller, Order]] = {}
        for seller in seeded_sellers():
            self.add_seller(seller)
        self.threads = Threads()
        self.sessions: BoundedDict[tuple[str, str]] = BoundedDict()  # cookie → Seller Central host, seller id
        self.codes: BoundedDict[Code] = BoundedDict()
        self.refresh_tokens: BoundedDict[Authorization] = BoundedDict()
        self.access_tokens: BoundedDict[AccessToken] = BoundedDict()
        self.appstore_states: BoundedDict[tuple[str, datetime]] = (
            BoundedDict()
        )  # amazon_state → seller id, expiry
        self.restricted_tokens: BoundedDict[RestrictedToken] = BoundedDict()
        self.restricted_roles = frozenset(RestrictedRole(role) for role in self.settings.restricted_roles)
        self.reports = Reports()
        self.report_links: BoundedDict[Link] = BoundedDict()
        # What the next pages of searchOrders and getReports begin with.
        self.page_tokens: BoundedDict[Any] = BoundedDict()
        self.report_tokens: BoundedDict[Any] = BoundedDict()
        self.counters = Counters()
        self.token_failure: PlannedFailure | None = None
        self.api_failure: PlannedFailure | None = None
        self.client_secrets = ClientSecrets(self.settings.client_secret.get_secret_value())
        # What Amazon put into the application's own queue, to be looked at by itself.
        self.notifications: deque[dict[str, Any]] = deque(maxlen=MAX_NOTIFICATIONS)
        self.calls = Calls()
        self.openid = OpenIdProvider.seeded()

    def reset_counters(self) -> None:
        self.counters = Counters()

    def now(self) -> datetime:
        return self._clock() + self._clock_offset

    def advance_clock(self, seconds: float) -> None:
        self._clock_offset += timedelta(seconds=seconds)
        for tell in (self.notices.queues.wake, *self._told_of_clock):
            tell()

    def when_clock_moves(self, tell: Callable[[], None]) -> None:
        """Have a function called each time that the clock was moved."""
        self._told_of_clock.append(tell)

    @property
    def is_draft(self) -> bool:
        """Whether the application is not published yet."""
        return self.settings.application_draft or self.scenarios.is_on("draft")

    def other_seller(self, seller: Seller, region: Region | None = None) -> Seller:
        """Another seller than this one, of the same region or of the given one; made if there is none."""
        wanted = region or seller.region
        for other in self.sellers.values():
            if other.region is wanted and other.seller_id != seller.seller_id:
                return other
        countries = tuple(m.country for m in MARKETPLACES if m.region is wanted)[:2]
        other = make_seller(f"A9OTHERSTORE{wanted.upper()}", "Other Store", wanted, countries)
        self.add_seller(other)
        return other

    def add_seller(self, seller: Seller, orders: list[PlacedOrder] | None = None) -> None:
        """Put a seller among the sellers, in place of one with the same id; what became of their orders is made up if it is not given."""
        self.sellers[seller.seller_id] = seller
        self.orders.forget_seller(seller.seller_id)
        self._put_into_books(seller, first_orders(seller, self.now()) if orders is None else orders)

    def add_orders(self, seller: Seller, orders: list[PlacedOrder], why: str | None = None) -> None:
        """Give a seller new orders; whoever subscribed to changes is told if there is a reason. Raises TooManyOrders."""
        self._put_into_books(seller, orders)
        seller.orders = (*seller.orders, *(placed.order for placed in orders))
        if why is not None:
            for placed in orders:
                self.orders.tell(placed, why)

    def _put_into_books(self, seller: Seller, orders: list[PlacedOrder]) -> None:
        self.orders.add(seller.seller_id, orders)
        for placed in orders:
            order = placed.order
            self._orders_by_id[order.order_id] = seller, order
            self._orders_by_buyer.setdefault((order.buyer_local, order.country), (seller, order))
            self._orders_by_tag[order.thread_tag] = seller, order

    def find_order(self, order_id: str) -> tuple[Seller, Order] | None:
        """The order of this id, and whose it is."""
        return self._orders_by_id.get(order_id)

    def placed_order(self, order_id: str) -> PlacedOrder | None:
        """What became of the order of this id, unless it is gone."""
        found = self._orders_by_id.get(order_id)
        return None if found is None else self.orders.get(found[0].seller_id, order_id)

    def order_of_buyer(self, address: str) -> tuple[Seller, Order] | None:
        """Whose buyer an anonymised address is, with or without the thread's `+tag`. A buyer of two orders has two tags."""
        local, _, domain = address.lower().rpartition("@")
        marketplace = BY_BUYER_MAIL_DOMAIN.get(domain)
        if marketplace is None:
            return None
        name, _, tag = local.partition("+")
        tagged = self._orders_by_tag.get(tag)
        if tagged is not None and (tagged[1].buyer_local, tagged[1].country) == (name, marketplace.country):
            return tagged
        return self._orders_by_buyer.get((name, marketplace.country))

    # --- sign-in ---------------------------------------------------------------------------------------------------

    def sign_in(self, host: str, seller_id: str) -> str:
        cookie = secrets.token_urlsafe(24)
        self.sessions.put(cookie, (host, seller_id))
        return cookie

    def signed_in_seller(self, host: str, cookie: str | None) -> Seller | None:
        session = self.sessions.get(cookie) if cookie else None
        if session is None or session[0] != host:
            return None
        return self.sellers.get(session[1])

    # --- consent, codes and tokens ---------------------------------------------------------------------------------

    def issue_code(self, seller: Seller, redirect_uri: str, life: timedelta = CODE_LIFE) -> str:
        """A new authorization code. Its region is the seller's own, whatever host they consented on."""
        authorization = Authorization(seller.seller_id, seller.region, self.settings.client_id, self.now())
        code = secrets.token_urlsafe(15)
        self.codes.put(code, Code(authorization, redirect_uri, self.now() + life))
        self.counters.consents[seller.seller_id] += 1
        return code

    def redeem_code(self, code: str, redirect_uri: str) -> Authorization | None:
        """The authorization behind a code. A code works once: it is gone even if the rest of the request is wrong."""
        found = self.codes.pop(code, None)
        if found is None or found.redirect_uri != redirect_uri or self.now() >= found.expires_at:
            return None
        return None if found.authorization.revoked else found.authorization

    def issue_refresh_token(self, authorization: Authorization) -> str:
        token = f"Atzr|{secrets.token_urlsafe(180)}"
        self.refresh_tokens.put(token, authorization)
        return token

    def authorization_of(self, refresh_token: str) -> Authorization | None:
        """The authorization behind a refresh token; None if the token is unknown, revoked, too old or another client's."""
        authorization = self.refresh_tokens.get(refresh_token)
        if authorization is None or not self._is_for_this_client(authorization):
            return None
        return authorization if self.now() < authorization.given_at + REFRESH_TOKEN_LIFE else None

    def issue_access_token(
        self,
        authorization: Authorization | None,
        client_secret: str,
        scopes: frozenset[str] = frozenset(),
    ) -> str:
        token = f"Atza|{secrets.token_urlsafe(180)}"
        expires_at = self.now() + ACCESS_TOKEN_LIFE
        self.access_tokens.put(token, AccessToken(authorization, expires_at, client_secret, scopes))
        return token

    def revoke(self, seller_id: str) -> int:
        """What *Disable authorization* does: codes, refresh tokens and access tokens of the seller are dead."""
        authorizations = [
            *(code.authorization for code in self.codes.values()),
            *self.refresh_tokens.values(),
            *(token.authorization for token in self.access_tokens.values() if token.authorization),
        ]
        alive = {id(a): a for a in authorizations if a.seller_id == seller_id and not a.revoked}
        for authorization in alive.values():
            authorization.revoked = True
        return len(alive)

    def is_authorized(self, seller_id: str) -> bool:
        return any(
            a.seller_id == seller_id and self._is_for_this_client(a) for a in self.refresh_tokens.values()
        )

    def _is_for_this_client(self, authorization: Authorization) -> bool:
        """Whether it is good for the client id of today's settings, whatever the secret was when it was given."""
        return not authorization.revoked and authorization.client_id == self.settings.client_id

    # --- scenarios -------------------------------------------------------------------------------------------------

    def planned_token_failure(self, grant_type: str) -> PlannedFailure | None:
        failure = self.token_failure
        if failure is None or failure.grant_type not in {None, grant_type}:
            return None
        failure.count -= 1
        if failure.count <= 0:
            self.token_failure = None
        return failure

    def planned_api_failure(self, seller_id: str | None) -> PlannedFailure | None:
        failure = self.api_failure
        if failure is None or failure.seller_id not in {None, seller_id}:
            return None
        failure.count -= 1
        if failure.count <= 0:
            self.api_failure = None
        return failure

    def take_call(self, operation: str, caller: str, rate: float, burst: int) -> bool:
        """Whether the caller may make a call now; it is counted and logged either way."""
        is_taken = self.calls.take(operation, caller, rate, burst, self.now())
        self.log_call(operation, caller, Outcome.LET_THROUGH if is_taken else Outcome.THROTTLED)
        return is_taken

    def log_call(self, operation: str, caller: str, outcome: Outcome) -> None:
        self.calls.log.append(Call(self.now(), operation, caller, outcome))
        counter = self.counters.throttled if outcome is Outcome.THROTTLED else self.counters.calls
        counter[f"{operation} {caller}"] += 1
