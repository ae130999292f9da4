"""Signing in at a company's provider as a browser does: our API, the sandbox's pages on a real socket, our callback."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from services.sandbox.state.openid_provider import CLIENT_SECRET, CompanyPerson
from shared.database import Sessions
from shared.tables import Account, OidcDomain, User
from tests.factories import make_user
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    Amazon,
    action_of,
    amazon,
    arrive,
    hidden_of,
    settings,
)
from tests.no_tls import NO_AUTHORITIES

__all__ = ["amazon", "settings"]

API = "/api/v1"
PATH = f"{API}/account/single-sign-on"
ISSUER = "https://id.company.example/lampenladen"
ERIKA, MAX, GUEST = "1001", "1002", "1003"

PROVIDER = {"issuer": ISSUER, "client_id": "replyco", "client_secret": CLIENT_SECRET}


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def set_provider(admin: SignedIn, **changes: Any) -> None:
    answer = await admin.client.put(PATH, json={**PROVIDER, **changes})
    assert answer.status_code == 200, answer.text


async def at_provider(url: str, subject: str = ERIKA, action: str = "sign-in") -> str:
    """Choose who signs in, at the provider. Where the browser is sent then."""
    async with httpx2.AsyncClient(follow_redirects=False, verify=NO_AUTHORITIES) as browser:
        page = await browser.get(url)
        assert page.status_code == 200, page.text
        target = httpx2.URL(str(page.url)).join(action_of(page.text))
        form = {**hidden_of(page.text), "action": action, "subject": subject}
        answer = await browser.post(target, data=form)
        assert answer.status_code == 303, answer.text
        location: str = answer.headers["location"]
        return location


@dataclass
class Company:
    """The provider of `account`, and browsers that sign in there."""

    account: Account
    amazon: Amazon
    sessions: Sessions
    browser: Callable[[], httpx2.AsyncClient]

    async def user(self, email: str, **columns: str) -> User:
        """Somebody who is one of the account's people already."""
        async with self.sessions.begin() as session:
            return await make_user(session, self.account.id, email=email, **columns)

    def switch_on(self, scenario: str, count: int | None = None) -> None:
        self.amazon.state.scenarios.switch_on(scenario, count=count)

    def change(self, subject: str, **changes: Any) -> CompanyPerson:
        people = self.amazon.state.openid.people
        people[subject] = replace(people[subject], **changes)
        return people[subject]

    async def begin(self, browser: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
        """Say who one is: an address, or by the account's own page."""
        given = body if "email" in body else {"account_id": str(self.account.id), **body}
        return await browser.post(f"{API}/single-sign-on/attempts", json=given)

    async def sent_to(self, browser: httpx2.AsyncClient, **body: Any) -> str:
        """Where the browser is sent."""
        answer = await self.begin(browser, **body)
        assert answer.status_code == 201, answer.text
        url: str = answer.json()["url"]
        return url

    async def sign_in(
        self, browser: httpx2.AsyncClient, subject: str = ERIKA, **body: Any
    ) -> httpx2.Response:
        """The whole way, there and back."""
        return await arrive(browser, await at_provider(await self.sent_to(browser, **body), subject))


@pytest.fixture
def company(
    account: Account, amazon: Amazon, sessions: Sessions, new_client: Callable[[], httpx2.AsyncClient]
) -> Company:
    return Company(account, amazon, sessions, new_client)


@pytest.fixture
async def provider(signed_in: SignedIn) -> SignedIn:
    """The account has a provider, which this admin has set up."""
    await set_provider(signed_in)
    return signed_in


@pytest.fixture
def prove(sessions: Sessions, account: Account) -> Callable[..., Awaitable[None]]:
    """A domain whose DNS has said that it is the account's."""

    async def proven(domain: str, of: Account | None = None) -> None:
        async with sessions.begin() as session:
            session.add(OidcDomain(account_id=(of or account).id, domain=domain, proven_at=datetime.now(UTC)))

    return proven


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
