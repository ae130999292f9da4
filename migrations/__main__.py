"""`python -m migrations upgrade`: the only command that changes the shape of the database."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, TypeVar

import typer

from migrations.restoration import DAYS, hold_back, let_go
from migrations.upgrade import make_roles
from migrations.upgrade import upgrade as upgrade_database
from shared.database_cures import database_cure
from shared.errors import CannotStart
from shared.process import FAILED, give_up, settings_or_exit
from shared.settings import CommonSettings
from shared.version_option import with_version

_Result = TypeVar("_Result")

cli = typer.Typer(
    help="The database's shape.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
cli.callback()(with_version)


@cli.command()
def upgrade() -> None:
    """Create or upgrade tables, queue, roles and grants. REPLYCO_DATABASE_URL must name the owner of the database."""
    _run(upgrade_database)
    print("The database is up to date.")


@cli.command()
def roles() -> None:
    """Make the roles alone, before a dump is restored that grants them something. `upgrade` does it, too."""
    _run(make_roles)
    print("The roles are there.")


@cli.command()
def restored(
    *,
    done: Annotated[
        bool, typer.Option("--done", help="Everything is put right: what is unknown is unknown again.")
    ] = False,
) -> None:
    """Run once after a restore, before any process starts: what may have happened since its point is held back for a week, or until --done.

    Everybody is signed out, what was about to be sent is perhaps sent, unknown addresses are answered 451, and no blob is swept.
    """
    if not done:
        _run(hold_back)
        print(
            f"For {DAYS} days unknown addresses are answered 451, so that their senders come again, and no blob is swept. "
            "When nothing is to be put right any more: `restored --done`."
        )
    elif _run(let_go):
        print("Unknown addresses are refused again, and blobs without a row are swept.")
    else:
        print("Nothing was held back.")


def _run(change: Callable[[str], Coroutine[object, object, _Result]]) -> _Result:
    settings = settings_or_exit(CommonSettings)
    try:
        return asyncio.run(change(settings.database_url.get_secret_value()))
    except CannotStart as reason:
        give_up(str(reason))
    except Exception as error:
        cure = database_cure(error)
        if cure is None:
            raise
        give_up(cure, code=FAILED)


if __name__ == "__main__":
    cli()
