"""Names of query parameters that an operation does not know are refused: a filter that nobody reads would answer with everything."""

from typing import Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

# Hostile addresses can have thousands.
_MOST_TOLD: Final = 20
# By the route's id, beside the route itself, which so keeps its id: routes cannot be hashed. A process has one set of them.
_KNOWN: Final = dict[int, tuple[APIRoute, frozenset[str]]]()


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of every operation of the API. Raises RequestValidationError that names the unknown ones, `extra_forbidden`."""
    if not request.query_params:
        return
    unknown = request.query_params.keys() - _known(request.scope["route"])
    if unknown:
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("query", name)} for name in sorted(unknown)[:_MOST_TOLD]]
        )


def _known(route: APIRoute) -> frozenset[str]:
    """The names of the query parameters of an operation and of all that it depends on, looked up once."""
    if (known := _KNOWN.get(id(route))) is None:
        known = _KNOWN[id(route)] = (route, _declared(route))
    return known[1]


def _declared(route: APIRoute) -> frozenset[str]:
    waiting, names = [route.dependant], set[str]()
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        for parameter in dependant.query_params:
            kind = parameter.field_info.annotation
            # A model is a parameter for each of its fields.
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                names.update(field.alias or name for name, field in kind.model_fields.items())
            else:
                names.add(parameter.alias)
    return frozenset(names)
