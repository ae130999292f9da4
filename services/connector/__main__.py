"""The connector's commands. `serve` answers browsers and programs; `worker` does what happens in the background."""

from shared.loading import loading

with loading():
    import asyncio
    import gc
    import json
    import socket
    from collections.abc import Mapping
    from typing import Annotated

    import structlog
    import typer
    import uvicorn
    from pydantic import Field, SecretStr
    from pydantic_settings import BaseSettings

    from services.connector.account_closing import commands as account_closing
    from services.connector.accounts.password_policy import MAX_PASSWORD, MIN_PASSWORD, check_password
    from services.connector.accounts.passwords import Passwords
    from services.connector.accounts.schemas import MeRequest
    from services.connector.accounts.service import EmailTaken, create_account
    from services.connector.amazon_pauses.commands import PauseSettings, amazon
    from services.connector.app import create_app, openapi_document
    from services.connector.compliance.commands import compliance
    from services.connector.dependencies import AppState
    from services.connector.doctor.checks import examine
    from services.connector.feedback.commands import feedback
    from services.connector.http.connections import SEND_BUFFER_BYTES, Connections
    from services.connector.http.forwarded_addresses import ForwardedAddresses
    from services.connector.http.language import Language
    from services.connector.http.server import Server
    from services.connector.job_queue.commands import jobs
    from services.connector.keys.commands import ClientSecretSettings, DataKeySettings, KeySettings, keys
    from services.connector.operations.commands import trace
    from services.connector.privacy.commands import BuyerSettings, privacy
    from services.connector.problems.catalogue import describe
    from services.connector.problems.page import problem_page
    from services.connector.settings import ConnectorSettings
    from services.connector.single_sign_on.commands import single_sign_on
    from services.connector.users.commands import PeopleSettings, api_keys, list_accounts, users
    from services.connector.worker import run_worker
    from shared.crypto.key_provider import KeyFileUnusable
    from shared.crypto.key_source import KeySource
    from shared.database import Sessions, require_version
    from shared.database_command import run_with_database
    from shared.doctor.findings import is_all_right, report
    from shared.errors import CannotStart, Expected
    from shared.file_limits import raise_file_limit
    from shared.keyring import Keyring
    from shared.logging import configure_logging
    from shared.process import (
        FAILED,
        give_up,
        key_file_cure,
        port_cure,
        run_role,
        settings_or_exit,
        stop_on_signals,
        warn_of_development,
    )
    from shared.settings import CommonSettings, KeySourceSettings
    from shared.settings_page import BEGINNING, settings_section
    from shared.side_port import STOPPING, PortTaken, answering_on, health, open_listener
    from shared.status.command import print_status
    from shared.status.queries import EVERYTHING
    from shared.status.report import StatusReport
    from shared.tables import SecondFactor
    from shared.tracing import exporting
    from shared.version_option import with_version

log = structlog.get_logger()

cli = typer.Typer(
    help="Connects Amazon stores and shows their buyers' messages: REST API, pages, background work.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.callback()(with_version)
accounts = typer.Typer(help="Accounts.", no_args_is_help=True)
cli.add_typer(keys, name="keys")
cli.add_typer(jobs, name="jobs")
cli.add_typer(amazon, name="amazon")
cli.add_typer(accounts, name="accounts")
cli.add_typer(privacy, name="privacy")
cli.add_typer(users, name="users")
cli.add_typer(api_keys, name="api-keys")
cli.add_typer(single_sign_on, name="single-sign-on")
cli.command()(feedback)
cli.command()(trace)
cli.command()(compliance)
accounts.command("list")(list_accounts)
accounts.command("close")(account_closing.close)
accounts.command("reopen")(account_closing.reopen)
accounts.command("erase")(account_closing.erase)

# What a stop waits for answers that are on their way.
_GRACE_SECONDS = 10
# Objects more than were freed. A list of a hundred rows makes thousands; the default is 700.
_GARBAGE_AFTER = 20_000


class AccountSettings(CommonSettings, KeySourceSettings):
    """What `accounts create` needs."""

    public_url: str = Field(
        "http://localhost:8000",
        description="the address at which browsers reach the pages, such as https://app.example",
    )
    admin_password: SecretStr | None = Field(
        None, description=f"the admin's password, {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    )


# Which command reads which settings.
SETTINGS: Mapping[str, type[BaseSettings]] = {
    "`serve`": ConnectorSettings,
    "`worker`": ConnectorSettings,
    "`doctor`": ConnectorSettings,
    "`compliance`": ConnectorSettings,
    "`accounts create`": AccountSettings,
    "`accounts erase`": account_closing.ErasureSettings,
    "`users`": PeopleSettings,
    "`amazon`": PauseSettings,
    "`keys`": KeySettings,
    "`keys rotate-data-keys`": DataKeySettings,
    "`keys client-secret`": ClientSecretSettings,
    "`privacy`": BuyerSettings,
}


@cli.command()
def serve() -> None:
    """Serve the REST API and the pages."""
    settings = settings_or_exit(ConnectorSettings)
    configure_logging("connector", level=settings.log_level, for_good=True)
    warn_of_development(settings)
    settings = settings.model_copy(update={"connections": raise_file_limit(settings.connections)})
    try:
        app = create_app(settings)
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))
    state: AppState = app.state.connector
    connections = Connections(settings.connection_bounds, state.registry)
    # Everything that is loaded stays: looking through it for garbage took a quarter of the time of a long list.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER)
    config = uvicorn.Config(
        ForwardedAddresses(app, settings.proxies),
        # Named, so that what happens to be installed changes nothing (docs/adr/0014).
        loop="uvloop",
        http=connections.protocol(),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # A second wall: `connections` refuses before, and better.
        limit_concurrency=settings.connections + 1,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        listener = open_listener(settings.host, settings.port, setting="REPLYCO_PORT", backlog=1024)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        side_listener = open_listener(settings.side_host, settings.side_port, setting="REPLYCO_SIDE_PORT")
    except PortTaken as taken:
        give_up(port_cure(taken))
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(state, config, listener, side_listener))
    except CannotStart as reason:
        give_up(str(reason))


async def _serve(
    state: AppState, config: uvicorn.Config, listener: socket.socket, side_listener: socket.socket
) -> None:
    """Until a signal: then `/readyz` sends whoever asks it to other processes, and who still comes is served until they have looked."""
    await require_version(state.sessions)
    stop_on_signals(state.stop)
    status = StatusReport.of(
        "connector", state.sessions, EVERYTHING, lambda: STOPPING if state.stop.is_set() else None
    )
    async with (
        answering_on(side_listener, health(state.registry, state.problem, status=status)),
        exporting("connector", state.settings),
    ):
        server = Server(config, end_streams=state.hub.end_streams)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(state.stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        if state.stop.is_set():
            drain_seconds = state.settings.seconds_to_drain
            log.info("draining", seconds=drain_seconds)
            server.drain()
            await asyncio.wait([serving], timeout=drain_seconds)
        stopping.cancel()
        server.should_exit = True
        await serving
    log.info("connector_stopped")


@cli.command()
def worker() -> None:
    """Run background jobs and schedules."""
    run_role("connector-worker", ConnectorSettings, run_worker)


@cli.command()
def doctor() -> None:
    """Check settings, database, key file and the way to Amazon; say in plain words what is wrong."""
    findings = asyncio.run(examine(settings_or_exit(ConnectorSettings, even_if_unsafe=True)))
    print(report(findings))
    if not is_all_right(findings):
        raise typer.Exit(FAILED)


@cli.command()
def status() -> None:
    """Say what waits and for how long, and what fails now."""
    print_status("connector-status", EVERYTHING)


@cli.command()
def openapi() -> None:
    """Print the description of the REST API (OpenAPI)."""
    print(json.dumps(openapi_document(), indent=2, ensure_ascii=False))


@cli.command()
def problems() -> None:
    """Print the page of all problem codes of the REST API (Markdown)."""
    print(problem_page(), end="")


@cli.command("settings")
def print_settings() -> None:
    """Print the first part of the page of all settings (Markdown)."""
    print(BEGINNING + settings_section("Connector", SETTINGS), end="")


@accounts.command("create")
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


if __name__ == "__main__":
    cli()
