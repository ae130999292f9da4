"""The connector's settings: `serve` and `worker` share them."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.connector.events.bounds import StreamBounds
from services.connector.http.connection_bounds import ConnectionBounds
from shared.outgoing.addresses import Network, networks
from shared.settings import (
    PREFIX,
    BlobSettings,
    CommonSettings,
    KeySourceSettings,
    OutgoingSettings,
    Port,
    ServingSettings,
    TracingSettings,
)

_Value = TypeVar("_Value")

# Said of the proxies in front of `serve`: there are none, or none that tells a client's address.
NO_PROXY = "none"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _absolute_http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("this is not an absolute http(s) address")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("without https only this machine itself may be named")
    return value.rstrip("/")


def _on_this_machine(value: str) -> str:
    if urlsplit(value).hostname not in _LOOPBACK:
        raise ValueError("a stand-in for Amazon must run on this machine")
    return value


def _origins(value: str) -> str:
    for origin in _origins_in(value):
        parts = urlsplit(_absolute_http_url(origin))
        if "*" in origin or "@" in parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("an origin is a scheme, a host and perhaps a port, and nothing else")
    return value


def _origins_in(value: str) -> list[str]:
    return [origin.strip() for origin in value.split(",") if origin.strip()]


def _support_contact(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "https" and parts.hostname and " " not in value:
        return value
    if re.fullmatch(r"[^@\s<>:/?&]+@[^@\s<>:/?&]+\.[^@\s<>:/?&]+", value):
        return value
    raise ValueError("this is neither an e-mail address nor an https address")


def _proxies(value: str, info: ValidationInfo) -> str:
    if not value.strip() and str(info.data.get("public_url", "")).startswith("https:"):
        raise ValueError("behind https every client would seem to have the proxy's address")
    if any(network.prefixlen == 0 for network in _proxy_networks(value)):
        raise ValueError("everybody would be believed about their address")
    return value


def _proxy_networks(value: str) -> tuple[Network, ...]:
    return () if value.strip().lower() == NO_PROXY else networks(value)


def _with_queue(value: _Value, info: ValidationInfo) -> _Value:
    if value is None and info.data.get("amazon_notice_queue_url"):
        raise ValueError("the queue of Amazon's notices cannot be read without it")
    return value


HttpUrl = Annotated[str, AfterValidator(_absolute_http_url)]
SandboxUrl = Annotated[HttpUrl, AfterValidator(_on_this_machine)]


class RetentionSettings(BaseSettings):
    """What an operator decides of how long data are kept, for whatever ends them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    messages_end_with_orders: bool = Field(
        False,
        description="true if messages about an order are to end with what is personal in it, in all accounts; else false",
    )


class ConnectorSettings(
    CommonSettings,
    ServingSettings,
    OutgoingSettings,
    BlobSettings,
    KeySourceSettings,
    RetentionSettings,
    TracingSettings,
):
    """Every value comes from a `REPLYCO_…` variable of the same name."""

    host: str = Field("127.0.0.1", description="the address to listen on, such as 127.0.0.1 or 0.0.0.0")
    port: Port = Field(8000, description="a free port for the REST API and the pages, such as 8000")
    side_host: str = Field("127.0.0.1", description="the address for /livez, /readyz, /metrics and /status")
    side_port: Port = Field(
        8002, description="a free port for /livez, /readyz, /metrics and /status of `serve`, such as 8002"
    )
    worker_port: Port = Field(
        8001, description="a free port for /livez, /readyz, /metrics and /status of `worker`, such as 8001"
    )
    public_url: HttpUrl = Field(
        "http://localhost:8000",
        description="the address at which browsers reach the pages, such as https://app.example",
    )
    trusted_proxies: Annotated[str, AfterValidator(_proxies)] = Field(
        "",
        validate_default=True,
        description="the addresses or networks of the proxies in front of `serve`, separated by commas, such as 10.0.0.5; "
        "only they are believed about a client's address. Set it to none if no proxy tells it",
    )
    connections: int = Field(
        8_000, ge=100, description="how many connections one process of `serve` holds at most, such as 8000"
    )
    connections_per_network: int = Field(
        200,
        ge=10,
        description="how many of them one client address may have that is no trusted proxy, such as 200",
    )
    alarm_reads_per_hour: int = Field(
        300,
        ge=10,
        description="how many conversations, orders and files a person or a key opens in an hour before administrators are told, such as 300",
    )
    alarm_failed_sign_ins_per_hour: int = Field(
        30,
        ge=5,
        description="how many failed sign-ins of an account's people in an hour before administrators are told, such as 30",
    )
    reply_undo_seconds: int = Field(
        10,
        ge=0,
        le=60,
        description="for how many seconds a reply can be taken back before it is sent, such as 10",
    )
    mail_domain: str = Field(
        "replyco.email",
        pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$",
        description="the domain of the relay addresses, in lower case, such as replyco.email",
    )
    amazon_application_id: str = Field(
        min_length=1,
        description="the application id from Solution Provider Portal, such as amzn1.sp.solution.…",
    )
    amazon_client_id: str = Field(min_length=1, description="the LWA client id of the application")
    amazon_client_secret: SecretStr = Field(
        min_length=1, description="the LWA client secret of the application"
    )
    amazon_client_secret_previous: SecretStr | None = Field(
        None,
        min_length=1,
        description="the client secret from before the last rotation, which Amazon takes for seven more days; unset it then",
    )
    amazon_application_is_draft: bool = Field(
        False, description="true while the application is a draft at Amazon, else false"
    )
    amazon_base_url: SandboxUrl | None = Field(
        None,
        description="the sandbox's address, such as http://localhost:8090; leave it unset to reach Amazon itself",
    )
    amazon_notice_queue_url: HttpUrl | None = Field(
        None,
        description="the SQS queue into which Amazon puts its notices of client secrets and of what happens in stores, such as "
        "https://sqs.eu-central-1.amazonaws.com/123456789012/notices. Leave it unset to rotate by hand and to ask for everything",
    )
    amazon_notice_queue_region: Annotated[str | None, AfterValidator(_with_queue)] = Field(
        None,
        pattern=r"^[a-z0-9-]+$",
        validate_default=True,
        description="the AWS region of that queue, such as eu-central-1",
    )
    amazon_notice_access_key_id: Annotated[str | None, AfterValidator(_with_queue)] = Field(
        None,
        pattern=r"^[A-Za-z0-9]+$",
        validate_default=True,
        description="the id of an AWS access key that may read that queue and remove messages from it",
    )
    amazon_notice_secret_access_key: Annotated[SecretStr | None, AfterValidator(_with_queue)] = Field(
        None,
        min_length=1,
        validate_default=True,
        description="the secret of that AWS access key",
    )
    requests_per_minute: int = Field(
        1200,
        ge=1,
        description="how many requests each user and each API key may send a minute to one process, such as 1200",
    )
    anonymous_requests_per_minute: int = Field(
        120,
        ge=1,
        description="how many requests that are not signed in an address may send a minute to one process, such as 120",
    )
    notice_smtp_host: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9.:-]+$",
        description="the mail server that takes our own mails to sellers, such as smtp.example; without it they wait",
    )
    notice_smtp_port: Port = Field(587, description="its port, such as 587 or 465")
    notice_smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls, tls (from the first byte), or none, which only this machine itself may be",
    )
    notice_smtp_username: str | None = Field(
        None, description="the user name there; leave it unset if none is asked for"
    )
    notice_smtp_password: SecretStr | None = Field(
        None, description="the password there; leave it unset if none is asked for"
    )
    notice_from: str | None = Field(
        None,
        pattern=r"^[^@\s<>]+@[^@\s<>]+$",
        description="the sender of our own mails to sellers, such as no-reply@example.com; unset, it is no-reply at the mail domain",
    )
    support_contact: Annotated[str, AfterValidator(_support_contact)] | None = Field(
        None,
        description="where people ask for help, such as help@example.com or https://example.com/help; unset, pages and mails name nobody",
    )
    frontend_origins: Annotated[str, AfterValidator(_origins)] = Field(
        "",
        description="the origins of other frontends whose scripts may use the API with an API key, separated by commas, such as "
        "https://helpdesk.example",
    )
    outgoing_smtp_ports: str = Field(
        "465,587,2525",
        pattern=r"^[1-9][0-9]{0,4}( ?, ?[1-9][0-9]{0,4})*$",
        description="the ports that the SMTP servers of sellers may have, separated by commas, such as 465,587,2525; "
        "add 25 only if you must",
    )
    outgoing_webhook_ports: str = Field(
        "443,8443",
        pattern=r"^(any|[1-9][0-9]{0,4}( ?, ?[1-9][0-9]{0,4})*)$",
        description="the ports to which webhooks are sent, separated by commas, such as 443,8443; or any, while you develop",
    )

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The proxies that are believed about a client's address."""
        return _proxy_networks(self.trusted_proxies)

    @property
    def origins(self) -> list[str]:
        """Other frontends whose scripts browsers let use the API."""
        return _origins_in(self.frontend_origins)

    @property
    def connection_bounds(self) -> ConnectionBounds:
        """What one process of `serve` lets its clients open."""
        return ConnectionBounds(self.connections, self.connections_per_network, proxies=self.proxies)

    @property
    def stream_bounds(self) -> StreamBounds:
        """Streams stay open; they leave room for everybody else's connections."""
        bounds = StreamBounds()
        return replace(bounds, most_streams=min(bounds.most_streams, self.connections * 3 // 4))

    @property
    def smtp_ports(self) -> frozenset[int]:
        """The ports that a seller's SMTP server may have."""
        return frozenset(int(port) for port in self.outgoing_smtp_ports.split(","))

    @property
    def webhook_ports(self) -> Collection[int]:
        """The ports that a webhook may have."""
        if self.outgoing_webhook_ports == "any":
            return range(1, 65536)
        return frozenset(int(port) for port in self.outgoing_webhook_ports.split(","))

    @field_validator("notice_smtp_tls")
    @classmethod
    def _plain_only_here(cls, value: str, info: ValidationInfo) -> str:
        if value == "none" and info.data.get("notice_smtp_host") not in _LOOPBACK:
            raise ValueError("without TLS only this machine itself may be named")
        return value

    @property
    def redirect_uri(self) -> str:
        """Registered at Amazon as the application's OAuth redirect URI."""
        return f"{self.public_url}/amazon/callback"
