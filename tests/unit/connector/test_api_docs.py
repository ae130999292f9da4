"""What docs/ says about the REST API is what the code does."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, StrictBool, TypeAdapter, ValidationError

from services.connector.app import openapi_document
from services.connector.problems.page import problem_page

DOCS = Path(__file__).parents[3] / "docs"
CURE = "The API has changed. Look at the difference, then write its descriptions anew: make api-docs"


@cache
def _described() -> dict[str, Any]:
    return openapi_document()


def test_the_checked_in_description_of_the_api_is_the_code_s():
    assert json.loads((DOCS / "openapi.json").read_text()) == _described(), CURE


def test_the_checked_in_page_of_problem_codes_is_the_code_s():
    assert (DOCS / "problems.md").read_text() == problem_page(), CURE


def test_every_post_by_which_a_caller_changes_something_takes_an_idempotency_key():
    without = {
        "/api/v1/sessions",
        "/api/v1/sessions/second-step",
        "/api/v1/sessions/passkey/options",
        "/api/v1/sessions/passkey",
        "/api/v1/single-sign-on/attempts",
        "/api/v1/password-resets",
        "/api/v1/password-resets/use",
        "/api/v1/conversations/search",
        "/api/v1/orders/search",
        "/api/v1/page-feedback",
        "/api/v1/invitations/look",
        "/api/v1/invitations/accept",
        "/api/v1/conversations/{conversation_id}/replies/check",
        # Saving a view again under its name leaves one, as it is.
        "/api/v1/saved-views",
        # Its body is read when there is room for it, not to be compared.
        "/api/v1/conversations/{conversation_id}/files",
    }
    for path, operations in _described()["paths"].items():
        if "post" in operations:
            names = [parameter["name"] for parameter in operations["post"].get("parameters", [])]
            assert ("Idempotency-Key" in names) == (path not in without), path


def test_the_idempotency_key_is_described_alike_wherever_it_is_taken():
    """So its bounds need not be tried with each operation (tests/integration/connector/described/hooks.py)."""
    forms = [
        parameter
        for operations in _described()["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    ]

    assert [form for form in forms if form != forms[0]] == []
    assert forms[0]["schema"] == {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}


def test_every_operation_has_a_name_of_its_own_that_says_what_it_does():
    names = [
        operation["operationId"]
        for operations in _described()["paths"].values()
        for operation in operations.values()
    ]

    assert [name for name, count in Counter(names).items() if count > 1] == []
    # A verb, and what of: a verb alone would be somebody else's, too.
    assert [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name)] == []


def test_the_description_that_belongs_to_no_installation_names_the_server_it_came_from():
    assert _described()["servers"] == [{"url": "/"}]


def test_a_request_s_yes_or_no_is_no_number_and_no_word():
    document = _described()
    bodies = [
        media["schema"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
        for media in operation["requestBody"]["content"].values()
    ]
    names = _named_below(bodies, document["components"]["schemas"])
    models = {model.__name__: model for model in _below(BaseModel)}
    flags: list[tuple[str, TypeAdapter[Any]]] = [
        (f"{name}.{field_name}", TypeAdapter(cast("type[Any]", Annotated[field.annotation, field])))
        for name in sorted(names & models.keys())
        for field_name, field in models[name].model_fields.items()
        if field.annotation in (bool, StrictBool | None, bool | None)
    ]
    assert len(flags) > 10
    assert [name for name, field in flags for wrong in (0, 1, "true") if _is_taken(field, wrong)] == []


def _is_taken(field: TypeAdapter[Any], value: object) -> bool:
    try:
        field.validate_python(value)
    except ValidationError:
        return False
    return True


def _named_below(part: Any, schemas: dict[str, Any]) -> set[str]:
    """The names of all schemas that a part of the description refers to, and that these refer to."""
    names: set[str] = set()
    parts = [part]
    while parts:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(parts.pop())):
            if name not in names:
                names.add(name)
                parts.append(schemas[name])
    return names


def _below(model: type[BaseModel]) -> list[type[BaseModel]]:
    return [below for each in model.__subclasses__() for below in (each, *_below(each))]
