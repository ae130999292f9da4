"""`python -m migrations upgrade`: the only command that changes the shape of the database."""

import asyncio

import typer

from migrations.upgrade import make_roles
from migrations.upgrade import upgrade as upgrade_database
from shared.process import settings_or_exit
from shared.settings import CommonSettings

cli = typer.Typer(help="The database's shape.", no_args_is_help=True, add_completion=False)


@cli.command()
def upgrade() -> None:
    """Create or upgrade tables, queue, roles and grants. REPLYCO_DATABASE_URL must name the owner of the database."""
    settings = settings_or_exit(CommonSettings)
    asyncio.run(upgrade_database(settings.database_url.get_secret_value()))
    print("The database is up to date.")


@cli.command()
def roles() -> None:
    """Make the roles alone, before a dump is restored that grants them something. `upgrade` does it, too."""
    settings = settings_or_exit(CommonSettings)
    asyncio.run(make_roles(settings.database_url.get_secret_value()))
    print("The roles are there.")


if __name__ == "__main__":
    cli()
