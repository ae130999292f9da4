"""The command `accounts create`: an account and its admin."""

from typing import Annotated

import typer
from pydantic import Field, SecretStr

from services.connector.accounts.password_policy import MAX_PASSWORD, MIN_PASSWORD, check_password
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.schemas import MeRequest
from services.connector.accounts.service import EmailTaken, create_account
from services.connector.http.language import Language
from services.connector.problems.catalogue import describe
from shared.crypto.key_provider import KeyFileUnusable
from shared.crypto.key_source import KeySource
from shared.database import Sessions
from shared.database_command import run_with_database
from shared.errors import Expected
from shared.keyring import Keyring
from shared.process import FAILED, give_up, key_file_cure, settings_or_exit
from shared.settings import CommonSettings, KeySourceSettings
from shared.tables import SecondFactor


class AccountSettings(CommonSettings, KeySourceSettings):
    """What `accounts create` needs."""

    public_url: str = Field(
        "http://localhost:8000",
        description="the address at which browsers reach the pages, such as https://app.example",
    )
    admin_password: SecretStr | None = Field(
        None, description=f"the admin's password, {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    )


def create(
    name: Annotated[str, typer.Option(help="The company's name.")],
    admin_email: Annotated[str, typer.Option(help="With it the admin signs in.")],
    language: Annotated[str, typer.Option(help="de or en.")] = "en",
    time_zone: Annotated[str, typer.Option(help="Such as Europe/Berlin.")] = "UTC",
    second_factor: Annotated[
        SecondFactor, typer.Option(help="Who has to have one: admins, everybody, or optional.")
    ] = SecondFactor.ADMINS,
) -> None:
    """Create an account and its admin. The password comes from REPLYCO_ADMIN_PASSWORD, or is asked for."""
    settings = settings_or_exit(AccountSettings)
    _check_account(name, admin_email, language, time_zone)
    given = settings.admin_password
    password = given.get_secret_value() if given else str(typer.prompt("Password", hide_input=True))
    try:
        check_password(password, name=name, email=admin_email.strip())
    except Expected as refused:
        _, title, detail = describe(refused.code, Language.EN, refused.fields)
        give_up(f"{title}. {detail}")

    async def run(sessions: Sessions) -> None:
        passwords, provider = Passwords(), KeySource.open(settings)
        try:
            account_id, user_id = await create_account(
                sessions,
                Keyring(provider),
                passwords,
                name=name.strip(),
                admin_email=admin_email,
                password=password,
                language=language,
                time_zone=time_zone,
                second_factor=second_factor,
            )
        finally:
            passwords.close()
            await provider.close()
        print(f"account {account_id}\nuser {user_id}")
        first = (
            f"{admin_email.strip()} signs in at {settings.public_url.rstrip('/')}/sign-in with this password"
        )
        if second_factor is SecondFactor.OPTIONAL:
            print(f"{first}.")
        else:
            print(
                f"{first}, and sets up a second factor first of all: an authenticator app on a phone, or a passkey. Until then the pages show"
                " nothing else."
            )

    try:
        run_with_database(settings, "connector-accounts", run)
    except EmailTaken:
        give_up("Somebody signs in with this e-mail address already. Choose another one.", code=FAILED)
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))


def _check_account(name: str, email: str, language: str, time_zone: str) -> None:
    local, at, domain = email.strip().partition("@")
    wrong = []
    try:
        MeRequest(name=name)
    except ValueError:
        wrong.append("--name must have 1 to 100 characters on one line, and some that can be seen.")
    if not (local and at and "." in domain) or len(email) > 254 or any(c.isspace() for c in email.strip()):
        wrong.append("--admin-email must be an e-mail address.")
    if language not in {"de", "en"}:
        wrong.append("--language must be de or en.")
    try:
        MeRequest(time_zone=time_zone)
    except ValueError:
        wrong.append("--time-zone must be a time zone such as Europe/Berlin.")
    if wrong:
        give_up("\n".join(wrong))
