"""The table of routes finds what FastAPI would find, for each address and each method that there is."""

import re

import pytest
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from services.connector.app import _routes
from services.connector.http.route_table import RouteTable

_TABLE, *_ROUTES = _routes()
_KNOWN = list(iter_route_contexts(_ROUTES))
_ID = "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What stands for a variable, fixed words of other routes among it.
_VALUES = (_ID, "counts", "search", "a/b", "")


def _scope(method: str, path: str, root_path: str = "") -> Scope:
    return {"type": "http", "method": method, "path": path, "root_path": root_path}


def _asked_one_by_one(path: str) -> list[RouteContext]:
    """The routes that an address fits, whatever the method, in their order."""
    return [route for route in _KNOWN if route.matches(_scope("GET", path))[0] is not Match.NONE]


def test_it_stands_before_all_others():
    assert isinstance(_TABLE, RouteTable)
    assert len(_KNOWN) > 150


@pytest.mark.parametrize("value", _VALUES)
def test_every_address_leads_to_the_route_that_is_asked_first(value: str):
    paths = {re.sub(r"{[^}]*}", value, route.path or "") for route in _KNOWN}
    for path in sorted(
        paths | {f"{path}/" for path in paths} | {"/api", "/api/v1", "/nothing", "//api/v1/me"}
    ):
        fitting = _asked_one_by_one(path)
        for method in _METHODS:
            match, found = _TABLE.matches(_scope(method, path))
            expected = next((route for route in fitting if method in (route.methods or ())), None)

            if expected is None:
                assert (match, found) == (Match.NONE, {}), (method, path)
            else:
                assert match is Match.FULL, (method, path)
                assert found["endpoint"] is expected.endpoint, (method, path)
                assert found["route"] is expected.original_route
                assert found["path_params"] == expected.matches(_scope(method, path))[1]["path_params"]


def test_a_part_of_the_address_that_was_cut_off_is_left_to_fastapi():
    assert _TABLE.matches(_scope("GET", "/api/v1/me", root_path="/api")) == (Match.NONE, {})


def test_no_other_kind_of_connection_has_a_route():
    assert _TABLE.matches({"type": "websocket", "path": "/api/v1/me"}) == (Match.NONE, {})


def test_every_route_is_one_that_it_can_call():
    assert [route.path for route in _KNOWN if not callable(getattr(route, "app", None))] == []
    assert all(isinstance(route, BaseRoute) for route in _ROUTES)
