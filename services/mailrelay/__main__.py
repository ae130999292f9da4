"""The mailrelay's commands. `serve` accepts mail; `worker` makes messages of what was accepted; `dns` knows the domain."""

import asyncio
from typing import Annotated

import typer

from services.mailrelay.settings import MailDomainSettings, MailWorkerSettings, RelaySettings
from shared.process import FAILED, run_role, settings_or_exit

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


@cli.command()
def dns(
    check: Annotated[bool, typer.Option("--check", help="Say which are right, wrong or missing.")] = False,
) -> None:
    """Print the DNS records to set for the mail domain. With --check, exit code 1 says that not all are right."""
    from services.mailrelay import dns_check  # noqa: PLC0415  # each role loads only its own rooms

    settings = settings_or_exit(MailDomainSettings)
    if not check:
        print(dns_check.to_set(settings.mail_domain, settings.smtp_hostname))
        if settings.postmaster_local_part is None:
            print("; Reports go to postmaster@, which is refused until REPLYCO_POSTMASTER_LOCAL_PART is set.")
        return
    findings = asyncio.run(dns_check.check(settings.mail_domain, settings.smtp_hostname, dns_check.asking()))
    print(dns_check.told(findings))
    if not dns_check.is_all_right(findings):
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    cli()
