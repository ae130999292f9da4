"""The sandbox's settings: where it listens, where its mails go, and the one application that it knows."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SandboxSettings(BaseSettings):
    """Read from `REPLYCO_SANDBOX_…`. The defaults fit the demo; nothing here is a secret of the real Amazon."""

    model_config = SettingsConfigDict(env_prefix="REPLYCO_SANDBOX_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="the address to listen on, such as 127.0.0.1")
    port: int = Field(8090, ge=0, le=65535, description="the port to listen on, such as 8090")
    smtp_port: int = Field(2526, ge=0, le=65535, description="the port to take mail on by SMTP, such as 2526")
    smtp_ca_file: Path | None = Field(
        None,
        description="a file to write the certificate to by which clients can check the SMTP server's, such as .data/sandbox-ca.pem",
    )
    dns_port: int = Field(
        8053,
        ge=0,
        le=65535,
        description="the port to answer DNS questions about the signatures on, such as 8053",
    )
    relay_host: str = Field("localhost", description="the host that takes the buyers' mails by SMTP")
    relay_port: int = Field(2525, ge=1, le=65535, description="the SMTP port of that host, such as 2525")
    first_retry_seconds: float = Field(
        2.0, gt=0, le=600, description="the pause before a refused mail is tried again, such as 2; it doubles"
    )
    application_id: str = Field(
        "amzn1.sp.solution.00000000-0000-4000-8000-000000000001",
        min_length=1,
        description="the application's id on the consent page, such as amzn1.sp.solution.…",
    )
    application_name: str = Field(
        "Replyco", min_length=1, max_length=100, description="the application's name on the consent page"
    )
    application_draft: bool = Field(
        False, description="true if the application is a draft, which needs version=beta in the consent URL"
    )
    client_id: str = Field(
        "amzn1.application-oa2-client.00000000000000000000000000000001",
        min_length=1,
        description="the application's Login with Amazon client id",
    )
    client_secret: SecretStr = Field(
        SecretStr("amzn1.oa2-cs.v1.sandbox-only"),
        min_length=1,
        description="the application's Login with Amazon client secret",
    )
    redirect_uris: Annotated[tuple[str, ...], NoDecode] = Field(
        ("http://localhost:8000/amazon/callback",),
        min_length=1,
        max_length=20,
        description="the registered redirect URIs, separated by commas, the default one first",
    )
    login_uri: str = Field(
        "http://localhost:8000/amazon/login", description="the application's OAuth login URI at the connector"
    )
    restricted_roles: Annotated[
        tuple[
            Literal[
                "direct_to_consumer_shipping", "tax_invoicing", "tax_remittance", "professional_services"
            ],
            ...,
        ],
        NoDecode,
    ] = Field(
        (),
        description="the application's restricted roles at the start, separated by commas, such as direct_to_consumer_shipping",
    )
    hang_seconds: float = Field(
        30.0, gt=0, le=600, description="how long a scenario that hangs gives no answer, such as 30"
    )
    state_file: Path | None = Field(
        None, description="a file for what shall outlive a restart, such as .data/sandbox.json"
    )

    @field_validator("redirect_uris", "restricted_roles", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        """A JSON list or a comma list, because both are common in environment files."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [entry.strip() for entry in value.split(",") if entry.strip()]
