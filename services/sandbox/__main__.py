"""`python -m services.sandbox`: the stand-in for Amazon on its own port, until it is interrupted."""

from shared.loading import loading

with loading():
    import errno
    import os
    import signal
    import socket
    import sys
    from collections.abc import Iterator
    from contextlib import contextmanager
    from typing import Annotated, NoReturn

    import typer
    import uvicorn

    from services.sandbox.app import create_app
    from services.sandbox.mail.name_server import Listeners, listen
    from services.sandbox.settings import SandboxSettings
    from services.sandbox.state.certificate_authority import CertificateFileUnusable
    from services.sandbox.state.state_file import StateFileUnusable
    from shared.listening import listening_socket
    from shared.settings import SettingsWrong, load_settings


def main(
    host: Annotated[str | None, typer.Option(help="Address to listen on [REPLYCO_SANDBOX_HOST]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on [REPLYCO_SANDBOX_PORT]", min=0, max=65535)
    ] = None,
) -> None:
    """Stand-in for Amazon: consent pages, Login with Amazon, Sellers API, Seller Central and buyers.

    For development and tests; never deployed. Everything else is set by REPLYCO_SANDBOX_… variables, see docs/sandbox.md.
    """
    # While it serves, uvicorn takes the signals; when it has stopped in order it raises the one it got again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    try:
        settings = load_settings(SandboxSettings)
        # Listen first: a second sandbox does not touch the file of the one that runs.
        address = host or settings.host
        listener = _listen(address, settings.port if port is None else port, "PORT")
        app = create_app(
            settings,
            smtp_listener=_listen(address, settings.smtp_port, "SMTP_PORT"),
            dns_listeners=_listen_for_questions(address, settings.dns_port),
        )
    except (SettingsWrong, StateFileUnusable, CertificateFileUnusable) as wrong:
        _give_up(str(wrong), 2)
    config = uvicorn.Config(
        app, loop="asyncio", http="h11", log_level="warning", access_log=False, timeout_graceful_shutdown=5
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int, setting: str) -> socket.socket:
    with _explained(host, port, setting):
        return listening_socket(host, port)


def _listen_for_questions(host: str, port: int) -> Listeners:
    with _explained(host, port, "DNS_PORT"):
        return listen(host, port)


@contextmanager
def _explained(host: str, port: int, setting: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            _give_up(f"Port {port} is taken. Set REPLYCO_SANDBOX_{setting} to a free one.", 1)
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            _give_up(f"{host} is no address of this machine. Set REPLYCO_SANDBOX_HOST to one.", 1)
        problem = os.strerror(error.errno or 0)
        _give_up(f"Port {port} cannot be opened ({problem}). Set REPLYCO_SANDBOX_{setting} to a free one.", 1)


def _give_up(message: str, exit_code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(exit_code)


if __name__ == "__main__":
    typer.run(main)
