"""The `users` and `api-keys` commands, for operators: people are invited, disabled and given a new password, keys are made and revoked."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar
from uuid import UUID

import typer
from pydantic import Field, TypeAdapter, ValidationError

from services.connector.accounts.schemas import KeyName
from services.connector.http.language import Language
from services.connector.problems.catalogue import describe
from services.connector.users import operator_service
from services.connector.users.schemas import Email, Name
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.errors import Expected
from shared.permissions import Level, Permission
from shared.process import FAILED, give_up, settings_or_exit
from shared.settings import CommonSettings

users = typer.Typer(help="People of an account.", no_args_is_help=True)
api_keys = typer.Typer(help="API keys of an account.", no_args_is_help=True)

_Result = TypeVar("_Result")

_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)
_KEY_NAME: Final[TypeAdapter[str]] = TypeAdapter(KeyName)

AccountOption = Annotated[UUID, typer.Option("--account", help="The account's id (`accounts list`).")]
EmailOption = Annotated[str, typer.Option("--email", help="With it they sign in.")]
PermissionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--permission",
        help="Such as general.admin=view; as often as needed. What is left out is none.",
    ),
]


class PeopleSettings(CommonSettings):
    """What the commands need that print links."""

    public_url: str = Field(
        "http://localhost:8000",
        description="the address at which browsers reach the pages, such as https://app.example",
    )


@users.command("list")
def list_users(account: AccountOption) -> None:
    """One line each: address, name, state, permissions."""
    for listed in _run(lambda sessions: operator_service.list_users(sessions, account)):
        user = listed.user
        state = "active" if user.disabled_at is None else "disabled"
        print(
            f"{user.email}\t{user.name}\t{state}\tgeneral.admin={user.general_admin} general.programs={user.general_programs}"
            f" inbox.messages={user.inbox_messages} inbox.orders={user.inbox_orders}"
        )


@users.command("invite")
def invite(
    account: AccountOption,
    email: EmailOption,
    name: Annotated[str | None, typer.Option(help="What they are called.")] = None,
    language: Annotated[Language, typer.Option(help="de or en.")] = Language.EN,
    permission: PermissionOption = None,
) -> None:
    """Print a link with which they join: good for 72 hours, once. No mail is sent."""
    levels = _levels(permission)
    if Permission.INBOX_REPLIES in levels:
        give_up("--permission: whoever may edit inbox.messages may reply; inbox.replies is for API keys.")
    email = _checked(_EMAIL, email, "--email is no e-mail address, or more than one.")
    name = name and _checked(
        _NAME, name, "--name has 1 to 100 characters on one line, and some that can be seen."
    )
    settings = settings_or_exit(PeopleSettings)

    async def run(sessions: Sessions) -> str:
        return await operator_service.invite(
            sessions,
            account,
            email=email,
            name=name,
            language=language.value,
            levels=levels,
            now=await sessions.now(),
        )

    token = _run(run)
    print(f"{settings.public_url.rstrip('/')}/invitation#{token}")


@users.command("disable")
def disable(email: EmailOption) -> None:
    """End their sessions and API keys, until they are enabled again."""

    async def run(sessions: Sessions) -> None:
        await operator_service.disable(sessions, email, await sessions.now())

    _run(run)
    print("disabled")


@users.command("enable")
def enable(email: EmailOption) -> None:
    """Let somebody in again who was disabled."""
    _run(lambda sessions: operator_service.enable(sessions, email))
    print("enabled")


@users.command("reset-password")
def reset_password(email: EmailOption) -> None:
    """Print a link that sets a new password: good for an hour, once. Their second factor stays."""
    settings = settings_or_exit(PeopleSettings)

    async def run(sessions: Sessions) -> str:
        return await operator_service.ask_reset(sessions, email, await sessions.now())

    token = _run(run)
    print(f"{settings.public_url.rstrip('/')}/reset-password#{token}")


@api_keys.command("create")
def create_api_key(
    email: Annotated[str, typer.Option("--user", help="In whose name; the key gives at most what they may.")],
    name: Annotated[str, typer.Option(help="What the key is for.")],
    permission: PermissionOption = None,
) -> None:
    """Print a new key's id and its secret, which is shown only this once."""
    levels = _levels(permission)
    name = _checked(_KEY_NAME, name, "--name has 1 to 60 characters on one line, and some that can be seen.")

    async def run(sessions: Sessions) -> tuple[UUID, str]:
        return await operator_service.create_api_key(
            sessions, email, name=name, levels=levels, now=await sessions.now()
        )

    key_id, key = _run(run)
    print(f"id {key_id}\nkey {key}")


@api_keys.command("list")
def list_api_keys(account: AccountOption) -> None:
    """One line each: id, name, the end of its secret, when it was used last."""
    for key in _run(lambda sessions: operator_service.list_api_keys(sessions, account)):
        used = "never" if key.last_used_at is None else key.last_used_at.isoformat(timespec="minutes")
        print(f"{key.id}\t{key.name}\t…{key.hint}\tlast used {used}")


@api_keys.command("revoke")
def revoke_api_key(api_key: Annotated[UUID, typer.Argument(help="The key's id.")]) -> None:
    """It stops working at once."""

    async def run(sessions: Sessions) -> None:
        await operator_service.revoke_api_key(sessions, api_key, await sessions.now())

    _run(run)
    print("revoked")


def list_accounts() -> None:
    """One line each: id, name, how many people may sign in, and whether it is closed or erased."""
    for account in _run(operator_service.list_accounts):
        state = ""
        if account.erased_at is not None:
            state = f"\terased {account.erased_at:%Y-%m-%d}"
        elif account.erase_after is not None:
            state = f"\tclosed, erased after {account.erase_after:%Y-%m-%d %H:%M} UTC"
        print(f"{account.id}\t{account.name}\t{account.users} users{state}")


def _checked(kind: TypeAdapter[str], given: str, complaint: str) -> str:
    """As the pages take it."""
    try:
        return kind.validate_python(given)
    except ValidationError:
        give_up(complaint)


def _levels(permissions: list[str] | None) -> dict[Permission, Level]:
    levels = {}
    for text in permissions or ():
        name, _, level = text.partition("=")
        if name not in set(Permission) or level not in set(Level):
            give_up(
                f"--permission: {', '.join(sorted(Permission))}, each with ={', ='.join(Level)}, such as general.admin=view."
            )
        levels[Permission(name)] = Level(level)
    return levels


def _run(work: Callable[[Sessions], Awaitable[_Result]]) -> _Result:
    settings = settings_or_exit(PeopleSettings)
    try:
        return run_with_database(settings, "connector-accounts", work)
    except Expected as refused:
        _, title, detail = describe(refused.code, Language.EN, refused.fields)
        give_up(f"{title}. {detail}", code=FAILED)
