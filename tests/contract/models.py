"""Amazon's published models (Swagger 2.0), read so that a request or an answer can be held against its operation."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from jsonschema import Draft4Validator

_REPOSITORY = Path(__file__).resolve().parents[2]
_MODELS = (
    "sellers.json",
    "application_2023-11-30.json",
    "notifications.json",
    "tokens_2021-03-01.json",
    "orders_2026-01-01.json",
    "reports_2021-06-30.json",
)
_RATES = re.compile(r"\|\s*Rate[^|]*\|\s*Burst\s*\|\s*\|[\s\-:|]*\|\s*([\d.]+)\s*\|\s*(\d+)\s*\|")


@dataclass(frozen=True)
class PublishedOperation:
    """One operation of one model."""

    operation_id: str
    method: str
    path: str
    body: dict[str, Any]
    definitions: dict[str, Any]

    @property
    def rate_and_burst(self) -> tuple[float, int]:
        found = _RATES.search(self.body["description"].replace("\n", " "))
        assert found is not None
        return float(found[1]), int(found[2])

    def matches(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.path))
        return method == self.method and re.fullmatch(pattern, path) is not None

    def assert_answer_fits(self, answer: httpx2.Response) -> None:
        """Status, headers and body are what the model says for this operation."""
        expected = self.body["responses"][str(answer.status_code)]
        named = {name.lower() for name in expected.get("headers", {})}
        assert "x-amzn-requestid" in answer.headers
        assert {"x-amzn-ratelimit-limit"} & set(answer.headers) <= named
        if "schema" in expected:
            self._validate(expected["schema"], answer.json())
        else:
            assert answer.content == b""

    def assert_request_fits(self, query: str, content: bytes) -> None:
        """Every query parameter is known, the required ones are there, and the body is what the model asks for."""
        parameters = [parameter for parameter in self.body.get("parameters", []) if "name" in parameter]
        sent = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        required = {p["name"] for p in parameters if p["in"] == "query" and p.get("required")}
        assert required <= sent <= known
        bodies = [parameter["schema"] for parameter in parameters if parameter["in"] == "body"]
        if bodies:
            self._validate(bodies[0], json.loads(content))
        else:
            assert content == b""

    def examples(self, status: int) -> list[Any]:
        """The answers of Amazon's static sandbox."""
        cases = self.body["responses"][str(status)].get("x-amzn-api-sandbox", {}).get("static", [])
        return [case["response"] for case in cases if "response" in case]

    def _validate(self, schema: dict[str, Any], value: Any) -> None:
        Draft4Validator({**schema, "definitions": self.definitions}).validate(value)


def published_operations() -> dict[str, PublishedOperation]:
    """Every operation of the models that concern this project, by its id; skips where the models are not at hand."""
    folder = Path(os.getenv("SP_API_MODELS") or _REPOSITORY.parent / "shared" / "sp-api-models")
    operations = {}
    for name in _MODELS:
        file = folder / name
        if not file.is_file():
            pytest.skip(f"Amazon's model {name} is not here; set SP_API_MODELS to the folder that holds it")
        model = json.loads(file.read_text("utf-8"))
        for path, methods in model["paths"].items():
            for method, body in methods.items():
                if isinstance(body, dict) and "operationId" in body:
                    operations[body["operationId"]] = PublishedOperation(
                        body["operationId"], method.upper(), path, body, model["definitions"]
                    )
    return operations
