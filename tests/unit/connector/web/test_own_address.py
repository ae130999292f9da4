"""Where signing in leads on to: our own pages, however the address is written."""

from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.connector.web.api import router
from services.connector.web.own_address import own_address

OURS = (
    "/",
    "/inbox",
    "/inbox/",
    "/integrations/new?source=amazon",
    "/inbox/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "/inbox?status=open&order=306-1234567-1234567&q=%C3%BC",
    "/amazon/confirm/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
)
NOT_OURS = (
    *("", "inbox", "evil.example", "https://evil.example", "https:evil.example", "javascript:alert(1)", "data:text/html,x"),
    *("//evil.example", "///evil.example", "////evil.example", "//evil.example/inbox", "/inbox//evil.example"),
    *("/.//evil.example", "/..//evil.example", "/./evil", "/inbox/..//evil.example", "/inbox/../..//evil.example"),
    *("/%2e//evil.example", "/%2E%2E//evil.example", "/%2f/evil.example", "/%2F%2Fevil.example", "%2F%2Fevil.example"),
    *("/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example", "/%5Cevil.example", "/inbox\\..\\evil"),
    *("/\t/evil.example", "/\n/evil.example", "/\r\n/evil.example", "\t//evil.example", " //evil.example", "/ /evil.example"),
    *("/\0/evil.example", "/\x0b/evil.example", "/\u200b/evil.example", "/\ufeff/evil.example", "/inbox\r\nSet-Cookie: x"),
    *("/\uff0fevil.example", "\uff0f\uff0fevil.example", "/\u2044evil.example", "/\u2215evil.example", "/\uff3cevil.example"),
    *("/;//evil.example", "/@evil.example", "/:80//evil.example", "/inbox#//evil.example", "/#//evil.example", "/?//evil.example"),
    *("http://user@evil.example", "//user:pass@evil.example", "/.evil.example//", "/\u3002evil.example", "/inbox\n", "/a" * 1001),
)  # fmt: skip


@pytest.mark.parametrize("address", OURS)
def test_a_page_of_ours_is_gone_on_to(address: str):
    assert own_address(address) == address


@pytest.mark.parametrize("address", NOT_OURS, ids=ascii)
def test_everything_else_leads_home(address: str):
    assert own_address(address) == "/"


@pytest.fixture(scope="module")
def browser() -> TestClient:
    app = FastAPI()
    app.include_router(router)
    return TestClient(app, follow_redirects=False)


def test_the_page_is_not_even_opened_with_an_address_elsewhere(browser: TestClient):
    answers = {
        address: browser.get(f"/sign-in?next={quote(address, safe='')}") for address in (*OURS, *NOT_OURS)
    }
    twice = browser.get("/sign-in?next=/inbox&next=/.//evil.example")

    assert {address for address, answer in answers.items() if answer.status_code == 200} == set(OURS)
    assert {
        (answer.status_code, answer.headers["location"])
        for answer in (*(answers[address] for address in NOT_OURS), twice)
    } == {(303, "/sign-in")}
