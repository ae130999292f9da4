"""Settings of the mailrelay's two roles: `serve` faces the internet, `worker` understands what was accepted."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import PREFIX, CommonSettings, Port


class MailDomainSettings(BaseSettings):
    """The names that the relay is known under: all that `dns` has to know."""

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


class RelaySettings(CommonSettings, MailDomainSettings):
    """`serve`: accepts mail. It is given the public mail key only, so it can open nothing that it has accepted."""

    smtp_host: str = Field(
        "127.0.0.1", description="the address to accept mail on, such as 0.0.0.0 for every interface"
    )
    smtp_port: Port = Field(2525, description="a free port for SMTP, such as 2525")
    mail_public_key_file: Path = Field(
        description="the path of the file with the mail workers' public key (`python -m services.connector keys create` makes it)"
    )
    side_host: str = Field("127.0.0.1", description="the address for /livez, /readyz and /metrics")
    side_port: Port = Field(8025, description="a free port for /livez, /readyz and /metrics, such as 8025")

    message_size_limit_bytes: int = Field(
        41_943_040,
        ge=65_536,
        le=268_435_456,
        description="the largest mail to accept, 65536 to 268435456 bytes",
    )
    journal_queue_bytes: int = Field(
        134_217_728,
        ge=1_048_576,
        description="how many bytes of mail may wait for their commit, at least 1048576",
    )
    commit_timeout_seconds: float = Field(
        10, gt=0, le=60, description="after how many seconds a mail is answered 451 instead of 250, up to 60"
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


class MailWorkerSettings(CommonSettings):
    """`worker`: opens accepted mail and makes messages of it."""

    key_file: Path = Field(
        description="the path of the file with the accounts' keys (`python -m services.connector keys create` makes it)"
    )
    mail_private_key_file: Path = Field(
        description="the path of the file with the mail workers' private key (`python -m services.connector keys create` makes it)"
    )
    side_host: str = Field("127.0.0.1", description="the address for /livez, /readyz and /metrics")
    worker_port: Port = Field(8026, description="a free port for /livez, /readyz and /metrics, such as 8026")
