"""The demo's settings: where things listen, and where their data lie."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import PREFIX, Port


class DemoSettings(BaseSettings):
    """Every port is a setting of the process that listens on it; the demo hands it on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    port: Port = Field(8000, description="a free port for pages and REST, such as 8000")
    connector_side_port: Port = Field(
        8002, description="a free port for the connector's health and metrics, such as 8002"
    )
    worker_port: Port = Field(8001, description="a free port for the connector's worker, such as 8001")
    smtp_port: Port = Field(2525, description="a free port for SMTP, such as 2525")
    side_port: Port = Field(8025, description="a free port for the relay's health and metrics, such as 8025")
    mail_worker_port: Port = Field(8026, description="a free port for the mail worker's health, such as 8026")
    sandbox_port: Port = Field(8090, description="a free port for the sandbox, such as 8090")
    sandbox_smtp_port: Port = Field(
        2526, description="a free port for mail that the sandbox takes, such as 2526"
    )
    sandbox_dns_port: Port = Field(
        8053, description="a free port for the sandbox's name server, such as 8053"
    )
    data_folder: Path = Field(
        Path(".data"), description="a folder for database, keys and logs, such as .data"
    )
    database_url: SecretStr | None = Field(
        None,
        description="the URL of an empty PostgreSQL database and its owner, to use instead of the embedded one",
    )
    demo_password: SecretStr | None = Field(
        None,
        min_length=12,
        max_length=128,
        description="a password for the demo user, at least 12 characters, none that everybody uses",
    )
