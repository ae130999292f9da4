"""Which answers are compressed."""

import gzip
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

from services.connector.http.compression import Compressed, takes_gzip
from services.connector.http.conditional_get import ConditionalGet

LONG = {"words": ["Lampe"] * 400}


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()

    @app.get("/api/v1/things")
    def things(response: Response) -> dict[str, Any]:
        response.headers["ETag"] = '"7"'
        response.headers["Vary"] = "Accept-Language"
        return LONG

    @app.get("/api/v1/me")
    @app.post("/api/v1/things")
    def secret() -> dict[str, Any]:
        return LONG

    @app.get("/api/v1/little")
    def little() -> dict[str, Any]:
        return {"words": []}

    app.add_middleware(ConditionalGet)
    app.add_middleware(Compressed)
    return TestClient(app)


def test_what_is_read_is_compressed_for_whoever_takes_that(client: TestClient) -> None:
    with client.stream("GET", "/api/v1/things", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    plain = client.get("/api/v1/things", headers={"Accept-Encoding": "identity"})

    assert gzip.decompress(raw) == plain.content
    assert int(answer.headers["content-length"]) == len(raw) < len(plain.content) / 5
    assert "content-encoding" not in plain.headers
    assert {each.headers["vary"] for each in (answer, plain)} == {"Accept-Language, Accept-Encoding"}


def test_the_tag_of_a_compressed_answer_is_weak_and_known_again(client: TestClient) -> None:
    answer = client.get("/api/v1/things", headers={"Accept-Encoding": "gzip"})
    again = client.get("/api/v1/things", headers={"If-None-Match": answer.headers["etag"]})

    assert answer.headers["etag"].startswith('W/"7.')
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/me"), ("POST", "/api/v1/things"), ("GET", "/api/v1/little")]
)
def test_secrets_and_little_things_go_as_they_are(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path, headers={"Accept-Encoding": "gzip"})

    assert (answer.status_code, "content-encoding" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("br, gzip; q=0.0", False), ("", False), ("x-gzip", False)],
)  # fmt: skip
def test_what_a_client_takes_is_read_from_its_header(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes
