"""The `single-sign-on` commands, for operators: a way in for an account whose provider lets nobody in, or for one of its people."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import typer

from services.connector.http.language import Language
from services.connector.problems.catalogue import describe
from services.connector.single_sign_on import people_service, settings_service
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.errors import Expected
from shared.process import FAILED, give_up, settings_or_exit
from shared.settings import CommonSettings

single_sign_on = typer.Typer(help="Signing in at an account's provider.", no_args_is_help=True)


@single_sign_on.command("lift")
def lift(
    account: Annotated[UUID, typer.Option("--account", help="The account's id (`accounts list`).")],
) -> None:
    """Let people in by password and passkey again, beside the provider."""
    _run(lambda sessions: settings_service.lift_only(sessions, account))
    print("lifted")


@single_sign_on.command("untie")
def untie(email: Annotated[str, typer.Option("--email", help="With it they sign in.")]) -> None:
    """Forget who somebody is at the provider: their next sign-in there ties them anew, by their address."""
    _run(lambda sessions: people_service.untie_for_operator(sessions, email))
    print("untied")


def _run(work: Callable[[Sessions], Awaitable[None]]) -> None:
    settings = settings_or_exit(CommonSettings)
    try:
        run_with_database(settings, "connector-accounts", work)
    except Expected as refused:
        _, title, detail = describe(refused.code, Language.EN, refused.fields)
        give_up(f"{title}. {detail}", code=FAILED)
