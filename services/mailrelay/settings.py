"""Settings of the mailrelay's two roles: `serve` faces the internet, `worker` makes messages of accepted mail."""

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.blobs import INLINE_LIMIT_BYTES
from shared.settings import (
    PREFIX,
    BlobSettings,
    CommonSettings,
    Development,
    KeySourceSettings,
    OutgoingSettings,
    Port,
    ServingSettings,
    TracingSettings,
)

if TYPE_CHECKING:
    from shared.outgoing.smtp import SmtpServer

# An address of version 6 stands in brackets if a port follows.
_WITH_PORT = re.compile(r"\[?(?P<address>[0-9.]+|(?<=\[)[^\[\]]+)\]?:(?P<port>[0-9]+)")

# PostgreSQL writes a large value several times, a folder or bucket once.
InlineLimit = Annotated[
    int,
    Field(
        ge=0,
        le=16_777_216,
        description="up to how many bytes a sealed mail or attachment lies in its row, larger ones in the blob store, such as 262144",
    ),
]
NameServer = tuple[IPv4Address | IPv6Address, Annotated[int, Field(ge=1, le=65_535)]]


def _words(value: object) -> object:
    """`a, b c` as a list, as people write lists into environment variables."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _name_servers(value: object) -> object:
    """`192.0.2.53, 127.0.0.1:8053, [2001:db8::53]:53` as addresses with their ports."""
    return (
        [_name_server(word) for word in value.replace(",", " ").split()] if isinstance(value, str) else value
    )


def _name_server(word: str) -> tuple[str, str]:
    match = _WITH_PORT.fullmatch(word)
    return (word.strip("[]"), "53") if match is None else (match["address"], match["port"])


def _with_username(value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if (value is None) != (info.data.get("smarthost_username") is None):
        raise ValueError("a user name and a password are set together, or none of the two")
    return value


class AddressedElsewhere(StrEnum):
    """What is done with a true mail of Amazon's that names only mailboxes of which nothing is known."""

    QUARANTINE = "quarantine"
    MARK = "mark"


class MailDomainSettings(BaseSettings):
    """The names that the relay is known under. The command `dns` needs no other settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    smtp_hostname: str = Field(
        "mx1.replyco.email",
        pattern=r"^[A-Za-z0-9.-]{1,253}$",
        description="the host name that the MX record names, such as mx1.replyco.email",
    )
    mail_domain: str = Field(
        "replyco.email",
        pattern=r"^[A-Za-z0-9.-]{1,253}$",
        description="the domain of relay addresses, such as replyco.email",
    )
    postmaster_local_part: str | None = Field(
        None,
        pattern=r"^[a-z]{9}$",
        description="what stands before the @ of the relay address that mail for postmaster@ and abuse@ shall go to",
    )


class DkimKeySettings(MailDomainSettings):
    """What the commands for the key that signs replies need."""

    development: Development = False
    dkim_key_file: Path = Field(
        description="the path of the file with the keys that replies are signed with, which `keys dkim create` makes"
    )


class MailKeySettings(CommonSettings):
    """What the commands for the mail key pair need."""

    mail_private_key_file: Path = Field(
        description="the path of the file with the mail workers' private key (`python -m services.connector keys create` makes it)"
    )
    mail_public_key_file: Path | None = Field(
        None,
        description="the path of the file with the mail workers' public key, if the relay runs on this machine, too",
    )


class KeyStatusSettings(BaseSettings):
    """The key files that `keys status` looks at: those that are on this machine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    development: Development = False
    mail_public_key_file: Path | None = Field(
        None, description="the path of the file with the mail workers' public key, where the relay runs"
    )
    mail_private_key_file: Path | None = Field(
        None, description="the path of the file with the mail workers' private key, where a mail worker runs"
    )
    dkim_key_file: Path | None = Field(
        None,
        description="the path of the file with the keys that replies are signed with, where a mail worker runs",
    )


class DnsSettings(MailDomainSettings):
    """What the command `dns` needs."""

    development: Development = False
    dkim_key_file: Path | None = Field(
        None,
        description="the path of the file with the keys that replies are signed with (`keys dkim create` makes it), to print their records",
    )
    smarthost_spf: str | None = Field(
        None,
        pattern=r"^(include|ip4|ip6|a|mx|exists)(:[A-Za-z0-9._:/%{}-]+)?( (include|ip4|ip6|a|mx|exists)(:[A-Za-z0-9._:/%{}-]+)?)*$",
        description="what the SPF record has to name because replies go out through the smarthost, as its operator says it, such as "
        "include:spf.smarthost.example or ip4:192.0.2.25",
    )


class SidePortSettings(BaseSettings):
    """Where `serve` answers about itself. The command `trace` needs no other settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    side_host: str = Field(
        "127.0.0.1", description="the address for /livez, /readyz, /metrics, /status and /trace"
    )
    side_port: Port = Field(
        8025, description="a free port for /livez, /readyz, /metrics, /status and /trace, such as 8025"
    )


class RelaySettings(
    CommonSettings, ServingSettings, MailDomainSettings, SidePortSettings, BlobSettings, TracingSettings
):
    """`serve`: accepts mail. It is given the public mail key only, so it can open nothing that it has accepted."""

    smtp_host: str = Field(
        "127.0.0.1", description="the address to accept mail on, such as 0.0.0.0 for every interface"
    )
    smtp_port: Port = Field(2525, description="a free port for SMTP, such as 2525")
    # Each process opens database connections of its own and counts the limits below on its own.
    processes: int = Field(
        1, ge=1, le=64, description="how many processes accept mail, about as many as there are processors"
    )
    run_as: str | None = Field(
        None,
        min_length=1,
        description="the system's user that the relay becomes when its ports are open, if it was started as root",
    )
    mail_public_key_file: Path = Field(
        description="the path of the file with the mail workers' public key (`python -m services.connector keys create` makes it)"
    )

    # Without both of them STARTTLS is not offered, which only development bears.
    tls_certificate_file: Path | None = Field(
        None, description="the path of a certificate chain in PEM; it is read again when it changes"
    )
    tls_key_file: Path | None = Field(
        None, description="the path of the certificate's private key in PEM, without a password"
    )
    # RFC 3207 §4: a server in public MX records must not require TLS. One that knows all its senders may, and Amazon's all use it.
    tls_required: bool = Field(
        True, description="true if mail may only be given after STARTTLS; false only while you develop"
    )
    # A handshake takes a few round trips; one that has not ended by then never will.
    tls_handshake_timeout_seconds: float = Field(
        30, gt=0, le=600, description="how many seconds the handshake after STARTTLS may take, such as 30"
    )
    # Whoever may send the header may claim any address: name the load balancers' networks and nothing else.
    proxy_protocol_from: Annotated[
        tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_words)
    ] = Field(
        (),
        description="the networks whose connections begin with a PROXY protocol header of version 2, such as 10.0.0.0/24",
    )
    # A load balancer sends the header together with the connection.
    proxy_protocol_timeout_seconds: float = Field(
        5, gt=0, le=60, description="how many seconds a load balancer's header may take, such as 5"
    )

    message_size_limit_bytes: int = Field(
        41_943_040,
        ge=65_536,
        le=268_435_456,
        description="the largest mail to accept, 65536 to 268435456 bytes",
    )
    inline_limit_bytes: InlineLimit = INLINE_LIMIT_BYTES
    journal_queue_bytes: int = Field(
        134_217_728,
        ge=1_048_576,
        description="how many bytes of mail may wait for their commit, at least 1048576",
    )
    commit_timeout_seconds: float = Field(
        10, gt=0, le=60, description="after how many seconds a mail is answered 451 instead of 250, up to 60"
    )
    # RFC 5321 §4.5.3.2.7 asks for five minutes between commands. Whoever has not begun a mail after these has come for another reason.
    first_mail_timeout_seconds: float = Field(
        30, gt=0, le=3600, description="how many seconds of silence end a session without a mail, such as 30"
    )
    # RFC 5321 §4.5.3.2.7: a server waits at least five minutes for the next command.
    idle_timeout_seconds: float = Field(
        300, gt=0, le=3600, description="how many seconds of silence end a session, such as 300"
    )
    data_timeout_seconds: float = Field(
        900, gt=0, le=7200, description="how many seconds one mail may take to arrive, such as 900"
    )
    session_timeout_seconds: float = Field(
        3600, gt=0, le=86_400, description="how many seconds a whole session may take, such as 3600"
    )
    shutdown_seconds: float = Field(
        20, ge=0, le=600, description="how many seconds a mail in progress has to arrive when the relay stops"
    )

    # Amazon sends from many addresses, much at a time, and to addresses that were retired: no limit on strangers may keep it out.
    trusted_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_words)] = (
        Field(
            (),
            description="the networks that Amazon sends from (the ranges of Amazon SES), such as 54.240.0.0/18,199.255.192.0/22",
        )
    )
    # A session takes one file descriptor and some 50 KB when idle.
    connection_limit: int = Field(
        2000, ge=1, le=100_000, description="how many connections a process holds at a time, such as 2000"
    )
    # The busiest senders open some 20 to 50 connections to one receiver; Postfix allows 50.
    network_connection_limit: int = Field(
        100,
        ge=1,
        description="how many connections one IPv4 address or IPv6 /64 may hold at a time, such as 100",
    )
    # The largest stores get some hundred mails an hour. What comes above is not refused for good: its sender comes again.
    address_mails_per_hour: int = Field(
        6000, ge=1, description="how many mails an hour a relay address may get, such as 6000"
    )
    address_bytes_per_hour: int = Field(
        1_073_741_824,
        ge=1_048_576,
        description="how many bytes an hour a relay address may get, such as 1073741824",
    )
    network_mails_per_hour: int = Field(
        20_000,
        ge=1,
        description="how many mails an hour one IPv4 address or IPv6 /64 may send, such as 20000",
    )
    network_bytes_per_hour: int = Field(
        2_147_483_648,
        ge=1_048_576,
        description="how many bytes an hour one IPv4 address or IPv6 /64 may send, such as 2147483648",
    )
    # An honest client needs four commands a mail; a mail to a thousand recipients, all refused, still fits.
    command_limit: int = Field(
        20_000, ge=100, description="how many commands a session may give without a mail, at least 100"
    )
    # RFC 5321 §4.5.3.1.8: at least 100 must be accepted. Each gets a copy of its own, so a higher limit makes one mail more costly.
    recipient_limit: int = Field(
        100, ge=100, le=1000, description="how many recipients a mail may have, 100 to 1000"
    )
    # Mail servers make no errors in a row; a person who tries by hand makes a few.
    error_delay_from: int = Field(
        30, ge=1, description="after how many errors without a mail replies are delayed, such as 30"
    )
    error_limit: int = Field(
        100, ge=1, description="after how many errors without a mail a session ends, such as 100"
    )
    # A mailing list holds a few dead addresses; a client that guesses names nothing else.
    unknown_recipient_delay_from: int = Field(
        10, ge=1, description="after how many unknown recipients a network's replies are delayed, such as 10"
    )
    unknown_recipient_limit: int = Field(
        50, ge=1, description="after how many unknown recipients a network's sessions end, such as 50"
    )
    unknown_recipient_window_seconds: float = Field(
        600, gt=0, le=86_400, description="after how many seconds that many are forgotten again, such as 600"
    )
    # Slow for a client that guesses, and far below what a sender waits for (RFC 5321 §4.5.3.2: five minutes).
    delay_seconds: float = Field(
        3, ge=0, le=30, description="how many seconds a delayed reply waits, up to 30"
    )
    # Slower than any modem: a client below this rate only occupies a connection.
    data_rate_floor_bytes: int = Field(
        1000, ge=1, description="how many bytes a second a mail has to arrive with, such as 1000"
    )
    data_grace_seconds: float = Field(
        60,
        gt=0,
        le=900,
        description="how many seconds a mail may fall behind that rate, such as 60",
    )
    # Below what the machine has free: memory that is swapped out makes every sender wait.
    memory_budget_bytes: int = Field(
        536_870_912,
        ge=1_048_576,
        description="how many bytes of memory mails in flight may take in a process, at least 1048576",
    )


class MailWorkerSettings(
    CommonSettings, MailDomainSettings, OutgoingSettings, BlobSettings, KeySourceSettings, TracingSettings
):
    """`worker`: opens accepted mail and makes messages of it, and sends replies."""

    mail_private_key_file: Path = Field(
        description="the path of the file with the mail workers' private key (`python -m services.connector keys create` makes it)"
    )
    # Replies go out without it, too: a new version is not to stop the delivery of mail.
    dkim_key_file: Path | None = Field(
        None,
        description="the path of the file with the keys that replies are signed with (`python -m services.mailrelay keys dkim create` makes "
        "it). Leave it unset only where the smarthost signs for the mail domain",
    )
    inline_limit_bytes: InlineLimit = INLINE_LIMIT_BYTES
    side_host: str = Field("127.0.0.1", description="the address for /livez, /readyz, /metrics and /status")
    worker_port: Port = Field(
        8026, description="a free port for /livez, /readyz, /metrics and /status, such as 8026"
    )
    # Whoever can answer in their place decides which mail counts as Amazon's, so name servers of your own network.
    nameservers: Annotated[tuple[NameServer, ...], NoDecode, BeforeValidator(_name_servers)] = Field(
        (),
        description="the name servers to ask who signs Amazon's mail, such as 192.0.2.53 or 127.0.0.1:8053. "
        "Leave it unset for those of the machine",
    )
    addressed_elsewhere: AddressedElsewhere = Field(
        AddressedElsewhere.QUARANTINE,
        description="what becomes of a true mail that Amazon has addressed to an unknown mailbox: quarantine, or mark to show it "
        "with a mark",
    )
    clamd: str | None = Field(
        None,
        pattern=r"^(/.+|[A-Za-z0-9.-]+:[0-9]{1,5})$",
        description="where clamd listens, which looks for malware in attachments: clamd.internal:3310, or the path of its socket. "
        "Leave it unset to scan nothing",
    )
    # Only what goes by the stores' own servers can do without it.
    smarthost_host: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9.:-]+$",
        description="the mail server that takes replies to buyers, such as smtp.example; without it they wait, and fail after four hours",
    )
    smarthost_port: Port = Field(587, description="its port, such as 587 or 465")
    smarthost_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls, tls (from the first byte), or none, which only a server on this machine may be",
    )
    smarthost_username: str | None = Field(
        None, min_length=1, description="the user name there; leave it unset if none is asked for"
    )
    smarthost_password: Annotated[SecretStr | None, AfterValidator(_with_username)] = Field(
        None,
        min_length=1,
        validate_default=True,
        description="the password there; leave both unset if none is asked for",
    )
    smarthost_connections: int = Field(
        4, ge=1, le=32, description="how many connections a worker opens to it at a time, such as 4"
    )
    smarthost_mails_per_second: float = Field(
        100,
        gt=0,
        le=1000,
        description="how many replies a second a worker gives to it: what its operator allows, over the number of workers, such as 14",
    )

    @property
    def smarthost(self) -> "SmtpServer | None":
        """The platform's way out for replies."""
        if self.smarthost_host is None:
            return None
        from shared.outgoing.smtp import SmtpServer  # noqa: PLC0415  # only what sends loads a client of SMTP

        return SmtpServer(
            self.smarthost_host,
            self.smarthost_port,
            self.smarthost_tls,
            self.smarthost_username,
            self.smarthost_password,
        )
