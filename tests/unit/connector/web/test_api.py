"""How the pages' files are served."""

import json
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.connector.web.api import router
from services.connector.web.script_bundles import imports_of, reached
from services.connector.web.static_files import FOLDER, static_files
from services.connector.web.texts import TEXT_SETS, page_texts

SCRIPTS = FOLDER / "static"

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
    "/settings/read-log",
    "/settings/account",
    "/account-closed",
    "/settings/retention",
    "/settings/templates",
    "/settings/tags",
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
    assert f'src="{static_files().prefix}/app.js"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(("development", "status"), [(True, 200), (False, 404), (None, 404)])
def test_the_page_of_all_parts_is_there_in_development_alone(development: bool | None, status: int) -> None:
    app = FastAPI()
    app.include_router(router)
    if development is not None:
        app.state.development = development

    answer = TestClient(app).get("/components")

    assert answer.status_code == status
    assert ("components.js" in answer.text) is (status == 200)


def test_a_document_that_the_browser_has_already_is_not_sent_again(browser: TestClient) -> None:
    first = browser.get("/inbox")
    again = browser.get("/inbox", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_is_kept_by_browsers_for_ever_and_sent_compressed_to_who_takes_that(
    browser: TestClient,
) -> None:
    path = f"{static_files().prefix}/app.js"
    plain = browser.get(path, headers={"Accept-Encoding": "identity"})
    refused = browser.get(path, headers={"Accept-Encoding": "br, gzip; q=0.0"})
    small = browser.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})

    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert {answer.headers["vary"] for answer in (plain, small)} == {"Accept-Encoding"}
    assert "content-encoding" not in plain.headers | refused.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(plain.content) / 2
    assert small.text == plain.text == refused.text


@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "../api.py",
        "%2e%2e/api.py",
        "/etc/passwd",
        "",
        "css/base.css",
        "texts/de/inbox/..",
        "../index.html",
    ],
)
def test_only_the_pages_files_are_served(browser: TestClient, path: str) -> None:
    assert browser.get(f"{static_files().prefix}/{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/static/app.js", "/static/0123456789abcdef/app.js", "/static/", "/static//app.js"]
)
def test_what_another_release_had_is_not_there(browser: TestClient, path: str) -> None:
    answer = browser.get(path)

    assert (answer.status_code, "immutable" in answer.headers.get("cache-control", "")) == (404, False)


@pytest.mark.parametrize("path", PAGES)
def test_the_first_view_of_a_page_is_named_by_its_document_and_is_small(
    browser: TestClient, path: str
) -> None:
    shell = browser.get(path)
    named = sorted({part.split('"')[0] for part in shell.text.split('="')[1:] if part.startswith("/static/")})
    answers = [browser.get(each) for each in named]

    assert {answer.status_code for answer in answers} == {200}
    assert {each.partition("/static/")[2].partition("/")[0] for each in named} == {
        static_files().prefix.removeprefix("/static/")
    }
    assert sum(int(answer.headers["content-length"]) for answer in (shell, *answers)) < 90_000


def test_the_document_names_every_script_that_a_page_imports() -> None:
    scripts = {
        path.relative_to(SCRIPTS).as_posix(): path.read_text("utf-8") for path in SCRIPTS.rglob("*.js")
    }
    imports = imports_of(scripts)
    entries = ["components.js", *(f"pages/{name}.js" for name in static_files().pages.values())]
    met = {each for entry in entries for each in reached(imports, entry, later=True)}

    assert scripts.keys() - met - set(reached(imports, "app.js", later=True)) - {"app.js"} == {
        "pages/not_found.js"
    }


def test_every_style_sheet_is_in_the_one_that_is_sent() -> None:
    style = " ".join(static_files().files["style.css"].content.decode().split())
    written = {path.name: path.read_text("utf-8") for path in sorted((SCRIPTS / "css").iterdir())}
    rules = {
        name: " ".join(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).split())
        for name, text in written.items()
    }

    assert "@import" not in style
    assert "/*" not in style
    assert [name for name, all_rules in rules.items() if all_rules not in style] == []


def test_every_text_comes_with_a_page() -> None:
    for text_set in TEXT_SETS:
        files = static_files().files.items()
        sent = [
            key
            for path, file in files
            if path.startswith(f"texts/{text_set}/")
            for key in json.loads(file.content)
        ]

        assert page_texts(text_set).keys() - set(sent) == set()


def test_no_text_within_a_script_goes_over_several_lines() -> None:
    """So that a line that begins as a comment is one, and can be left out of what is sent."""
    odd = [
        f"{path.name}: {line.strip()}"
        for path in sorted(SCRIPTS.rglob("*.js"))
        for line in path.read_text("utf-8").splitlines()
        if line.count("`") % 2
    ]
    assert odd == []
