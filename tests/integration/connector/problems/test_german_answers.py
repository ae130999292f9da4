"""Every operation, asked wrongly by somebody who reads German: no English word comes back, and each mistake has a sentence of its own."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx2
import pytest
from pydantic import JsonValue

from services.connector.app import openapi_document
from services.connector.problems.validation import OF_ITS_OWN_KIND
from services.connector.settings import ConnectorSettings
from tests.german import ENGLISH_WORD

# Whoever is taken for no mistake by one schema is one for another.
_WRONG: Final[tuple[JsonValue, ...]] = (
    None, True, 3.5, -1, 10**12, "", "x", "\x00", "\ud83d", "y" * 5_000, [], {}, {"a": 1}, ["x"] * 300, "2026-01-01T00:00:00"
)  # fmt: skip
_PARAMETERS: Final = ("", "x", "-1", "999999999", "y" * 300, "2026-01-01T00:00:00", "ß")
_NO_OBJECTS: Final[tuple[JsonValue, ...]] = ([], "x", 1)
_NO_FIELD: Final = "no_field_of_ours"


def _wrong(
    schema: Mapping[str, Any], parts: Mapping[str, Any], value: JsonValue, *, is_body: bool = False
) -> JsonValue:
    """A body of this form in which each field has this value; `true` is also put where an object or a list would have to be."""
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", schema.get("oneOf", [])):
        if "$ref" in choice or "items" in choice:
            return _wrong(choice, parts, value, is_body=is_body)
    if value is True and not is_body:
        return value
    if "properties" in schema:
        fields = {name: _wrong(each, parts, value) for name, each in schema["properties"].items()}
        # So nothing is done, even if all of it were right.
        return fields | {_NO_FIELD: value}
    if "items" in schema and value != []:
        return [_wrong(schema["items"], parts, value)]
    return value


def _requests(document: Mapping[str, Any]) -> Iterator[tuple[str, str, JsonValue, dict[str, str]]]:
    """Method, path, body and query of requests that are wrong, each in one way."""
    parts = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            yield method, path, None, {_NO_FIELD: "x"}
            if "{" in path:
                yield method, path.replace("}", "").replace("{", "no-"), None, {_NO_FIELD: "x"}
            for wrong in _PARAMETERS if names else ():
                yield method, path, None, dict.fromkeys(names, wrong)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                yield from ((method, path, other, {}) for other in _NO_OBJECTS)
                yield from (
                    (method, path, _wrong(body["schema"], parts, value, is_body=True), {}) for value in _WRONG
                )
                yield method, path, {_NO_FIELD: 1}, {}


@pytest.fixture
def settings(settings: ConnectorSettings) -> ConnectorSettings:
    """Asked so much in one minute."""
    return settings.model_copy(update={"requests_per_minute": 100_000})


async def test_no_mistake_is_told_in_english_to_who_reads_german(client: httpx2.AsyncClient):
    english, without_sentence, told = set[str](), set[str](), set[str]()
    for method, path, body, query in _requests(openapi_document()):
        # A stream has no end, and whoever is signed out learns nothing more.
        if path == "/api/v1/events" or (query == {} and body is None):
            continue
        answer = await _ask(client, method, path, body, query)
        if answer.status_code < 400 or not answer.headers["content-type"].endswith("json"):
            continue
        said = answer.json()
        assert answer.headers["content-language"] == "de", (method, path)
        sentences = [said["title"], said["detail"]]
        for mistake in said.get("errors", ()):
            sentences.append(mistake["detail"])
            told.add(mistake["code"])
            if mistake["code"] not in OF_ITS_OWN_KIND:
                without_sentence.add(mistake["code"])
        english |= {f"{method} {path}: {each}" for each in sentences if _is_english(each)}

    assert (english, without_sentence) == (set(), set())
    # Else it would have asked nothing.
    assert {"missing", "extra_forbidden", "enum", "uuid_parsing", "too_long", "string_too_long"} <= told


async def _ask(
    client: httpx2.AsyncClient, method: str, path: str, body: JsonValue, query: dict[str, str]
) -> httpx2.Response:
    # Half a pair of UTF-16 has a form in JSON alone.
    content = None if body is None else json.dumps(body)
    headers = {"Accept-Language": "de", "Content-Type": "application/json"}
    return await client.request(method, path, content=content, params=query, headers=headers)


def _is_english(sentence: str) -> bool:
    # What a field may be is named as the API names it.
    sentence = re.sub(r"(?<=^Eines von: ).+(?=\.$)", "…", sentence)
    return bool(ENGLISH_WORD.search(sentence)) or "{" in sentence or sentence.endswith(": .")
