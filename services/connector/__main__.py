"""The connector's commands. `serve` answers browsers and programs; `worker` does what happens in the background.

Each loads only what it needs: the rooms' commands are loaded when one of them is called, or when `--help` lists them.
"""

from shared.loading import loading

with loading():
    import asyncio
    import json
    from collections import UserDict
    from pkgutil import resolve_name
    from typing import Any, Final

    import typer
    from typer.core import TyperGroup
    from typer.main import get_group
    from typing_extensions import override

    from shared.logging import configure_logging
    from shared.process import FAILED, run_role, settings_or_exit, warn_of_development
    from shared.version_option import with_version

# Commands and groups of commands that rooms keep: where they stand, in the order of `--help`, before and behind those that stand here.
_FIRST: Final = {
    "feedback": "services.connector.feedback.commands:feedback",
    "trace": "services.connector.operations.commands:trace",
    "compliance": "services.connector.compliance.commands:compliance",
}
_LAST: Final = {
    "keys": "services.connector.keys.commands:keys",
    "jobs": "services.connector.job_queue.commands:jobs",
    "amazon": "services.connector.amazon_pauses.commands:amazon",
    "accounts": "services.connector.account_commands:accounts",
    "privacy": "services.connector.privacy.commands:privacy",
    "users": "services.connector.users.commands:users",
    "api-keys": "services.connector.users.commands:api_keys",
    "single-sign-on": "services.connector.single_sign_on.commands:single_sign_on",
}


class _Commands(UserDict[str, Any]):
    """By name. One that is a text, where it stands, is loaded when it is asked for."""

    @override
    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, str):
            self.data[name] = found = _loaded(name, found)
        return found


class _WithRooms(TyperGroup):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands({**_FIRST, **self.commands, **_LAST})


def _loaded(name: str, place: str) -> Any:
    with loading():
        found = resolve_name(place)
    holder = typer.Typer()
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return get_group(holder).commands[name]


cli = typer.Typer(
    cls=_WithRooms,
    help="Connects Amazon stores and shows their buyers' messages: REST API, pages, background work.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.callback()(with_version)


@cli.command()
def serve() -> None:
    """Serve the REST API and the pages."""
    with loading():
        from services.connector.settings import ConnectorSettings  # noqa: PLC0415  # each command loads only its own rooms

    settings = settings_or_exit(ConnectorSettings)
    configure_logging("connector", level=settings.log_level, for_good=True)
    warn_of_development(settings)
    with loading():
        from services.connector.serving import run_server  # noqa: PLC0415  # each command loads only its own rooms

    run_server(settings)


@cli.command()
def worker() -> None:
    """Run background jobs and schedules."""
    with loading():
        from services.connector.settings import ConnectorSettings  # noqa: PLC0415  # each command loads only its own rooms
        from services.connector.worker import run_worker  # noqa: PLC0415  # each command loads only its own rooms

    run_role("connector-worker", ConnectorSettings, run_worker)


@cli.command()
def doctor() -> None:
    """Check settings, database, key file and the way to Amazon; say in plain words what is wrong."""
    with loading():
        from services.connector.doctor.checks import examine  # noqa: PLC0415  # each command loads only its own rooms
        from services.connector.settings import ConnectorSettings  # noqa: PLC0415  # each command loads only its own rooms
        from shared.doctor.findings import is_all_right, report  # noqa: PLC0415  # each command loads only its own rooms

    findings = asyncio.run(examine(settings_or_exit(ConnectorSettings, even_if_unsafe=True)))
    print(report(findings))
    if not is_all_right(findings):
        raise typer.Exit(FAILED)


@cli.command()
def status() -> None:
    """Say what waits and for how long, and what fails now."""
    with loading():
        from shared.status.command import print_status  # noqa: PLC0415  # each command loads only its own rooms
        from shared.status.queries import EVERYTHING  # noqa: PLC0415  # each command loads only its own rooms

    print_status("connector-status", EVERYTHING)


@cli.command()
def openapi() -> None:
    """Print the description of the REST API (OpenAPI)."""
    with loading():
        from services.connector.app import openapi_document  # noqa: PLC0415  # each command loads only its own rooms

    print(json.dumps(openapi_document(), indent=2, ensure_ascii=False))


@cli.command()
def problems() -> None:
    """Print the page of all problem codes of the REST API (Markdown)."""
    with loading():
        from services.connector.problems.page import problem_page  # noqa: PLC0415  # each command loads only its own rooms

    print(problem_page(), end="")


@cli.command("settings")
def print_settings() -> None:
    """Print the first part of the page of all settings (Markdown)."""
    with loading():
        from services.connector.command_settings import SETTINGS  # noqa: PLC0415  # each command loads only its own rooms
        from shared.settings_page import BEGINNING, settings_section  # noqa: PLC0415  # each command loads only its own rooms

    print(BEGINNING + settings_section("Connector", SETTINGS), end="")


if __name__ == "__main__":
    cli()
