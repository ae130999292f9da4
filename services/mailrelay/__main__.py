"""The mailrelay's commands. `serve` accepts mail, `worker` makes messages of it and sends replies, `dns` prints the domain's records,
`keys` keeps the keys that mail is sealed to and replies are signed with, `reprocess` parses old messages anew, `trace` prints the dialogue of a
session, and `doctor` says what is wrong.
"""

from shared.loading import loading

with loading():
    import asyncio
    import sys
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Annotated

    import typer
    from pydantic_settings import BaseSettings

    from services.mailrelay.delivery.mail_key_commands import mail_keys
    from services.mailrelay.outbound.key_commands import keys, lookup_or_exit
    from services.mailrelay.settings import (
        DkimKeySettings,
        DnsSettings,
        KeyStatusSettings,
        MailKeySettings,
        MailWorkerSettings,
        RelaySettings,
        SidePortSettings,
    )
    from shared.crypto.dkim_keys import DkimKey, DkimKeyFile
    from shared.crypto.key_provider import KeyFileUnusable
    from shared.doctor.findings import Finding, is_all_right, report
    from shared.process import FAILED, give_up, key_file_cure, run_role, settings_or_exit
    from shared.settings_page import settings_section
    from shared.version_option import with_version

ResolverOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS[#PORT]", help="The name server to ask, if not the machine's own."),
]

cli = typer.Typer(
    help="Accepts the mails that Amazon sends, and delivers them to the matching integration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.callback()(with_version)
keys.add_typer(mail_keys, name="mail")
cli.add_typer(keys, name="keys")
doctor = typer.Typer(
    help="Check all that a role needs, as the user and with the settings of that role; say in plain words what is wrong.",
    no_args_is_help=True,
)
cli.add_typer(doctor, name="doctor")


# Which command reads which settings.
SETTINGS: Mapping[str, type[BaseSettings]] = {
    "`serve`": RelaySettings,
    "`worker`": MailWorkerSettings,
    "`reprocess`": MailWorkerSettings,
    "`dns`": DnsSettings,
    "`keys status`": KeyStatusSettings,
    "`keys mail`": MailKeySettings,
    "`keys dkim`": DkimKeySettings,
    "`trace`": SidePortSettings,
    "`doctor serve`": RelaySettings,
    "`doctor worker`": MailWorkerSettings,
}


@cli.command()
def serve() -> None:
    """Accept mail over SMTP and keep it durably."""
    with loading():
        from services.mailrelay.process.supervisor import supervise  # noqa: PLC0415  # each role loads only its own rooms

    run_role("mailrelay", RelaySettings, supervise)


@cli.command(hidden=True)
def accept(number: int, channel: int, listeners: list[int]) -> None:
    """Run one of the processes that `serve` starts, on file descriptors that it passes on."""
    with loading():
        from services.mailrelay.process.child import run_child  # noqa: PLC0415  # each role loads only its own rooms

    run_child(number, channel, listeners)


@cli.command()
def worker() -> None:
    """Turn accepted mail into messages, and send replies."""
    with loading():
        from services.mailrelay.worker import run_worker  # noqa: PLC0415  # each role loads only its own rooms

    run_role("mailrelay-worker", MailWorkerSettings, run_worker)


@cli.command()
def dns(
    check: Annotated[
        bool, typer.Option("--check", help="Say which records are right, wrong or missing.")
    ] = False,
    resolver: ResolverOption = None,
) -> None:
    """Print the DNS records to set for the mail domain. With --check, exit code 1 says that not all are right."""
    with loading():
        from services.mailrelay.dns_setup import check as dns_check  # noqa: PLC0415  # each role loads only its own rooms

    settings = settings_or_exit(DnsSettings)
    sending = dns_check.Sending(settings.smarthost_spf, _dkim_keys(settings.dkim_key_file))
    if not check:
        print(dns_check.instructions(settings.mail_domain, settings.smtp_hostname, sending=sending))
        if settings.postmaster_local_part is None:
            print("; Reports go to postmaster@, which is refused until REPLYCO_POSTMASTER_LOCAL_PART is set.")
        return
    lookup = lookup_or_exit(resolver)
    checks = asyncio.run(
        dns_check.check(settings.mail_domain, settings.smtp_hostname, lookup, sending=sending)
    )
    print(dns_check.report(checks, sending=sending))
    if not dns_check.is_all_right(checks):
        raise typer.Exit(FAILED)


def _dkim_keys(path: Path | None) -> tuple[DkimKey, ...]:
    try:
        return () if path is None else DkimKeyFile.load(path).keys
    except KeyFileUnusable as unusable:
        give_up(key_file_cure(unusable))


@cli.command()
def reprocess(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    held: Annotated[
        bool, typer.Option("--held", help="Instead, let the workers try held mail again, from the beginning.")
    ] = False,
) -> None:
    """Parse stored messages anew, with the parser of this version. After an interruption it continues where it was.

    Exit code 1 says that some messages were left as they were; 2, that it could not begin.
    """
    with loading():
        from services.mailrelay.reprocessing.command import run_reprocess  # noqa: PLC0415  # each role loads only its own rooms

    settings = settings_or_exit(MailWorkerSettings)
    if not asyncio.run(run_reprocess(settings, dry_run=dry_run, held=held)):
        raise typer.Exit(FAILED)


@cli.command("settings")
def print_settings() -> None:
    """Print the second part of the page of all settings (Markdown); the connector's `settings` prints the first."""
    print(settings_section("Mailrelay", SETTINGS), end="")


@cli.command()
def status() -> None:
    """Say what mail and which replies wait and for how long, and what fails now. It reads with the mail worker's database role."""
    with loading():
        from shared.status.command import print_status  # noqa: PLC0415  # each role loads only its own rooms
        from shared.status.queries import OF_MAIL  # noqa: PLC0415  # each role loads only its own rooms

    print_status("mailrelay-status", OF_MAIL)


@cli.command()
def trace(
    session_id: Annotated[str, typer.Argument(help="As at the end of every reply of the session.")],
) -> None:
    """Print the dialogue of a session, without addresses and contents. The relay remembers the last sessions."""
    with loading():
        from services.mailrelay.smtp.trace_command import NoTrace, trace_of  # noqa: PLC0415  # each role loads only its own rooms

    try:
        print(trace_of(session_id, settings_or_exit(SidePortSettings)), end="")
    except NoTrace as reason:
        print(reason, file=sys.stderr)
        raise typer.Exit(FAILED) from None


@doctor.command("serve")
def doctor_serve(resolver: ResolverOption = None) -> None:
    """Check what accepting mail needs: database, mail key, certificate, ports, large mail, DNS."""
    with loading():
        from services.mailrelay.doctor.relay_checks import examine_relay  # noqa: PLC0415  # each role loads only its own rooms

    settings = settings_or_exit(RelaySettings, even_if_unsafe=True)
    _tell(asyncio.run(examine_relay(settings, lookup_or_exit(resolver))))


@doctor.command("worker")
def doctor_worker(resolver: ResolverOption = None) -> None:
    """Check what delivering mail and sending replies need: database, keys, large mail, DNS, the smarthost, the malware scanner."""
    with loading():
        from services.mailrelay.doctor.worker_checks import examine_worker  # noqa: PLC0415  # each role loads only its own rooms

    settings = settings_or_exit(MailWorkerSettings, even_if_unsafe=True)
    _tell(asyncio.run(examine_worker(settings, None if resolver is None else lookup_or_exit(resolver))))


def _tell(findings: Sequence[Finding]) -> None:
    print(report(findings))
    if not is_all_right(findings):
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    cli()
