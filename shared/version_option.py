"""`--version`, alike for every command line of the project."""

from typing import Annotated

import typer

from shared.version import version


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(version())
        raise typer.Exit


def with_version(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version, and end.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """What a command line does before each of its commands: nothing, but it knows the option."""
