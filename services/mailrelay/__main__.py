"""The mailrelay's commands. `serve` accepts mail; `worker` makes messages of what was accepted."""

import typer

from services.mailrelay.settings import MailWorkerSettings, RelaySettings
from shared.process import run_role

cli = typer.Typer(
    help="Accepts the mails that Amazon sends, and delivers them to the matching integration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Accept mail over SMTP and keep it durably."""
    from services.mailrelay.server import serve as run  # noqa: PLC0415  # each role loads only its own rooms

    run_role("mailrelay", RelaySettings, run)


@cli.command()
def worker() -> None:
    """Turn accepted mail into messages."""
    from services.mailrelay.delivery.worker import run_worker  # noqa: PLC0415  # each role loads only its own rooms

    run_role("mailrelay-worker", MailWorkerSettings, run_worker)


if __name__ == "__main__":
    cli()
