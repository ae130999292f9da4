"""What lists are measured against answers with the same fields as they do: a row with fewer would be written faster."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.connector.inbox.schemas import ConversationItem
from services.connector.integrations.schemas import IntegrationItem
from tests.bench import rest_peer

_Shape = dict[str, Any]


class _Row(dict[str, Any]):
    """A row in which all that was not given is NULL."""

    def __missing__(self, name: str) -> None:
        return None


def _shape_of_schema(schema: dict[str, Any], definitions: dict[str, Any], written: object) -> _Shape | None:
    """What the real row has, as deep as something was written: the peer's rows have NULL where the benchmark's do."""
    found = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    if "$ref" in found:
        found = definitions[found["$ref"].rpartition("/")[2]]
    if not isinstance(written, dict):
        return None
    return {
        name: _shape_of_schema(each, definitions, written.get(name))
        for name, each in found.get("properties", {}).items()
    }


def _shape_of_answer(answer: object) -> _Shape | None:
    return (
        {name: _shape_of_answer(each) for name, each in answer.items()} if isinstance(answer, dict) else None
    )


@pytest.mark.parametrize(
    ("item", "write"),
    [(ConversationItem, rest_peer._conversation), (IntegrationItem, rest_peer._item)],
    ids=["conversations", "integrations"],
)
def test_the_peer_writes_every_field_of_the_real_rows(item: Any, write: Callable[[Any], object]) -> None:
    schema = TypeAdapter(item).json_schema(mode="serialization")

    written = _shape_of_answer(write(_Row(tag_ids=[], seller_id="A2M3N4P5")))

    assert written == _shape_of_schema(schema, schema["$defs"], written)
