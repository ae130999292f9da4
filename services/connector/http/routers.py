"""The routers of the rooms' `api.py`: what every operation of the API has in common."""

from typing import Any, Final

from fastapi import APIRouter, Depends

from services.connector.http.paths import API_PREFIX
from services.connector.http.query_parameters import refuse_unknown_parameters

# Every route answers its failures in this form.
PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "What went wrong, with a stable code.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def api_router(tag: str) -> APIRouter:
    """A room's part of the API, to which its paths are relative.

    Its routes are taken as they are. To include a router under a prefix, FastAPI would make each of them a second time, which took a
    seventh of the time that a process needs to start.
    """
    return APIRouter(
        prefix=API_PREFIX,
        tags=[tag],
        dependencies=[Depends(refuse_unknown_parameters)],
        responses=PROBLEM_RESPONSES,
        generate_unique_id_function=lambda route: _operation_id(route.name),
    )


def _operation_id(function: str) -> str:
    """The name of an operation for programs that are generated: its function's (`list_integrations` is `listIntegrations`)."""
    first, *others = function.split("_")
    return first + "".join(word.capitalize() for word in others)
