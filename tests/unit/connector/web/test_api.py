"""How the pages' files are served."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.connector.web.api import router

PAGES = [
    "/",
    "/sign-in",
    "/integrations",
    "/integrations/new",
    "/integrations/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "/connect/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "/connect/problem/other_browser",
    "/inbox",
    "/inbox/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "/replies",
    "/orders",
    "/orders/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "/settings",
    "/settings/webhooks",
    "/settings/audit-log",
    "/settings/retention",
    "/settings/templates",
]


@pytest.fixture(scope="module")
def browser() -> TestClient:
    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_the_shell_and_allows_no_inline_script(browser: TestClient, path: str) -> None:
    answer = browser.get(path)

    assert answer.status_code == 200
    assert 'src="/static/app.js"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_file_that_the_browser_has_already_is_not_sent_again(browser: TestClient) -> None:
    first = browser.get("/static/app.js")
    again = browser.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/static/nothing.js", "/static/../api.py", "/static/%2e%2e/api.py", "/static//etc/passwd", "/static/"],
)
def test_only_the_pages_files_are_served(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_every_file_that_the_shell_names_is_there(browser: TestClient) -> None:
    shell = browser.get("/").text
    named = [part.split('"')[0] for part in shell.split('="')[1:] if part.startswith("/static/")]

    assert len(named) >= 5
    assert [path for path in named if browser.get(path).status_code != 200] == []
