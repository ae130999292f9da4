"""The SP-API's answer to a path that is no operation: 403, not 404, and without `details`, as with a missing role."""

from fastapi import APIRouter, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import unauthorized

router = APIRouter()


async def _no_such_operation(sandbox: SandboxDep) -> Response:
    sandbox.counters.participations_refused["unauthorized"] += 1
    raise unauthorized("")


for _host in API_HOSTS:
    router.add_api_route(
        f"/{_host}/{{path:path}}",
        _no_such_operation,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    )
