"""`python -m services.sandbox`: the stand-in for Amazon on its own port, until it is interrupted."""

import sys
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings


def main(
    host: Annotated[str | None, typer.Option(help="Address to listen on [REPLYCO_SANDBOX_HOST]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [REPLYCO_SANDBOX_PORT]")] = None,
) -> None:
    """Stand-in for Amazon: consent pages, Login with Amazon, Sellers API, Seller Central and buyers.

    For development and tests; never deployed. Everything else is set by REPLYCO_SANDBOX_… variables, see docs/sandbox.md.
    """
    try:
        settings = SandboxSettings()
    except ValidationError as error:
        _explain(error)
        raise typer.Exit(2) from None
    uvicorn.run(
        create_app(settings),
        host=host or settings.host,
        port=settings.port if port is None else port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )


def _explain(error: ValidationError) -> None:
    """Every wrong setting at once, each with its cure and none with its value."""
    print("These settings are wrong:", file=sys.stderr)
    for problem in error.errors():
        name = str(problem["loc"][0])
        cure = SandboxSettings.model_fields[name].description
        print(f"  REPLYCO_SANDBOX_{name.upper()}: {problem['msg']}. Set it to {cure}.", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
