"""The connector's settings: `serve` and `worker` share them."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from shared.settings import BlobSettings, CommonSettings, Port

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


HttpUrl = Annotated[str, AfterValidator(_absolute_http_url)]


class ConnectorSettings(CommonSettings, BlobSettings):
    """Every value comes from a `REPLYCO_…` variable of the same name."""

    host: str = Field("127.0.0.1", description="the address to listen on, such as 127.0.0.1 or 0.0.0.0")
    port: Port = Field(8000, description="a free port for the REST API and the pages, such as 8000")
    worker_port: Port = Field(
        8001, description="a free port for the worker's health and metrics, such as 8001"
    )
    public_url: HttpUrl = Field(
        "http://localhost:8000",
        description="the address at which browsers reach the pages, such as https://app.example",
    )
    trusted_proxies: str = Field(
        "",
        pattern=r"^[0-9a-fA-F:./, ]*$",
        description="the addresses of the proxies in front of `serve`, separated by commas, such as 10.0.0.5; "
        "only they are believed about a client's address. Leave it unset without a proxy",
    )
    key_file: Path = Field(description="the file with the key-encryption keys that `keys create` has written")
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
    amazon_application_is_draft: bool = Field(
        False, description="true while the application is a draft at Amazon, else false"
    )
    amazon_base_url: Annotated[HttpUrl, AfterValidator(_on_this_machine)] | None = Field(
        None,
        description="the sandbox's address, such as http://localhost:8090; leave it unset to reach Amazon itself",
    )

    @property
    def redirect_uri(self) -> str:
        """Registered at Amazon as the application's OAuth redirect URI."""
        return f"{self.public_url}/amazon/callback"
