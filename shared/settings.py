"""Settings: one frozen class per role, built once in `__main__` from `REPLYCO_…` variables and passed down.

Every field has a description of a right value, which the message about a wrong one quotes.
"""

import os
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.outgoing.addresses import networks

PREFIX = "REPLYCO_"
# It names a folder with a file for each setting that is a secret, as containers mount them; the file is named as the setting.
SECRETS_FOLDER: Final = "REPLYCO_SECRETS_FOLDER"

Port = Annotated[int, Field(ge=0, le=65535)]
Development = Annotated[
    bool,
    Field(
        description="true on a machine where you develop, so that settings which are not safe do not stop the start; else false"
    ),
]

# Balancers ask every few seconds and believe the second answer.
_DRAIN_SECONDS: Final = 10
# As libpq names them.
_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_SettingsClass = TypeVar("_SettingsClass", bound=BaseSettings)


class SettingsWrong(Exception):
    """One or more settings are missing or wrong. The text names all of them, each with its cure and never with its value."""


def _of_postgresql(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("this is not the URL of a PostgreSQL database")
    options = dict(parse_qsl(urlsplit(value.get_secret_value()).query))
    if options.get("sslmode", "prefer") not in _TLS_MODES:
        raise ValueError(f"its sslmode is none of {', '.join(_TLS_MODES)}")
    authorities = options.get("sslrootcert")
    if authorities is not None and not _is_readable(authorities):
        raise ValueError("its sslrootcert names no file that this user may read")
    return value


def _is_readable(path: str) -> bool:
    try:
        with Path(path).open("rb"):
            return True
    except (OSError, ValueError):
        return False


_Value = TypeVar("_Value")


def _with_bucket(value: _Value, info: ValidationInfo) -> _Value:
    if value is None and str(info.data.get("blob_url")).startswith("s3://"):
        raise ValueError("a bucket cannot be used without it")
    return value


class CommonSettings(BaseSettings):
    """The settings of every role that uses the database."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    database_url: Annotated[SecretStr, AfterValidator(_of_postgresql)] = Field(
        validation_alias=AliasChoices("REPLYCO_DATABASE_URL", "DATABASE_URL"),
        description="the PostgreSQL database and the user of this role, such as postgresql://ROLE:PASSWORD@host/replyco",
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR"
    )
    development: Development = False
    side_ports_filtered: bool = Field(
        False,
        description="true if a firewall or a network policy lets nobody but probes and your metrics reach the side ports, else false",
    )


class ServingSettings(BaseSettings):
    """How a role that others are sent to by a balancer stops, and whether anybody is."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    development: Development = False
    drain_seconds: int | None = Field(
        None,
        ge=0,
        le=600,
        description="for how many seconds `serve` still takes whoever comes after it was told to stop and /readyz says so, such as 10: longer "
        "than a balancer takes to notice. Unset, it is 10, and 0 while you develop; set it to 0 if nothing asks /readyz",
    )

    @property
    def seconds_to_drain(self) -> int:
        """What `drain_seconds` comes to."""
        if self.drain_seconds is not None:
            return self.drain_seconds
        return 0 if self.development else _DRAIN_SECONDS


class TracingSettings(BaseSettings):
    """Where spans go (docs/operations/watching.md), for the roles that write them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?$",
        validation_alias=AliasChoices("REPLYCO_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="the address of an OpenTelemetry collector that takes OTLP over HTTP, without /v1/traces, such as http://collector:4318. "
        "Unset, no spans are written",
    )
    traced_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="the share of mails and connections of which spans are written, such as 0.1",
    )


class BlobSettings(BaseSettings):
    """Where large mail is stored, for the roles that write or read it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    blob_url: str = Field(
        "file:///var/lib/replyco/blobs",
        pattern=r"^(file:///.+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-]+)*/?)$",
        description="the folder or the S3 bucket for large mail, the same for relay, mail worker and connector and for no "
        "other installation, such as file:///var/lib/replyco/blobs or s3://bucket/prefix",
    )
    blob_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+/?$",
        description="the address of the S3 server, such as https://s3.example:9000. Leave it unset for AWS",
    )
    blob_region: Annotated[str | None, AfterValidator(_with_bucket)] = Field(
        None,
        pattern=r"^[A-Za-z0-9-]+$",
        validate_default=True,
        description="the region of the S3 bucket, such as eu-central-1; MinIO's is us-east-1 unless it was changed",
    )
    blob_access_key_id: Annotated[str | None, AfterValidator(_with_bucket)] = Field(
        None,
        min_length=1,
        validate_default=True,
        description="the id of this role's access key to the S3 bucket",
    )
    blob_secret_access_key: Annotated[SecretStr | None, AfterValidator(_with_bucket)] = Field(
        None,
        min_length=1,
        validate_default=True,
        description="the secret of this role's access key to the S3 bucket",
    )


def _networks(value: str) -> str:
    networks(value)
    return value


Networks = Annotated[str, AfterValidator(_networks)]


def _with_kms(value: _Value, info: ValidationInfo) -> _Value:
    if value is None and info.data.get("kms_key") is not None:
        raise ValueError("a key of KMS cannot be used without it")
    return value


def _key_file_or_kms(value: Path | None, info: ValidationInfo) -> Path | None:
    if value is None and "kms_key" in info.data and info.data["kms_key"] is None:
        raise ValueError("it is needed where REPLYCO_KMS_KEY is not set")
    return value


class KeySourceSettings(BaseSettings):
    """Where the key-encryption keys are, for the roles and commands that open what is sealed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    kms_key: str | None = Field(
        None,
        pattern=r"^arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
        description="the ARN of the AWS KMS key that wraps data keys, such as arn:aws:kms:eu-central-1:123456789012:key/"
        "1234abcd-12ab-34cd-56ef-1234567890ab. Leave it unset to wrap with the key file",
    )
    kms_access_key_id: Annotated[str | None, AfterValidator(_with_kms)] = Field(
        None,
        min_length=1,
        validate_default=True,
        description="the id of an access key of AWS that may kms:Encrypt and kms:Decrypt with that key",
    )
    kms_secret_access_key: Annotated[SecretStr | None, AfterValidator(_with_kms)] = Field(
        None,
        min_length=1,
        validate_default=True,
        description="the secret of the access key for KMS",
    )
    kms_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+/?$",
        description="the address of KMS, such as https://vpce-1a2b.kms.eu-central-1.vpce.amazonaws.com for an endpoint in your own network. Leave it "
        "unset for AWS's public one",
    )
    key_file: Annotated[Path | None, AfterValidator(_key_file_or_kms)] = Field(
        None,
        validate_default=True,
        description="the path of the file with the key-encryption keys that `python -m services.connector keys create` has written; unset only "
        "where all of them are in AWS KMS",
    )


class OutgoingSettings(BaseSettings):
    """Where the servers that sellers name may lie, for the roles that connect to them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    outgoing_refused_networks: Networks = Field(
        "",
        description="networks of your own with public addresses, separated by commas, such as 192.0.2.0/24; no SMTP "
        "server and no webhook that a seller names may lie in them. Private networks are refused anyway",
    )
    outgoing_allowed_networks: Networks = Field(
        "",
        description="networks, separated by commas, in which the SMTP servers and webhooks of sellers may lie although "
        "they are not public, such as 127.0.0.0/8 while you develop. Leave it unset in production",
    )


def load_settings(settings_class: type[_SettingsClass]) -> _SettingsClass:
    """Read the environment, and for what is not in it the folder of secrets. Raises SettingsWrong with every problem at once."""
    folder = os.environ.get(SECRETS_FOLDER)  # noqa: TID251 - where settings are, before there are any
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises where this user may not look
        raise SettingsWrong(
            f"These settings are wrong:\n  {SECRETS_FOLDER}: there is no such folder, or this user may not look for it. "
            "Set it to the folder that holds a file for each secret, such as /run/secrets."
        )
    try:
        return settings_class(_secrets_dir=folder)
    except ValidationError as error:
        problems = {
            _environment_name(settings_class, problem["loc"]): problem["msg"] for problem in error.errors()
        }
        lines = [
            f"  {name}: {message}. Set it to {_cure(settings_class, name)}."
            for name, message in problems.items()
        ]
        raise SettingsWrong("These settings are wrong:\n" + "\n".join(lines)) from None


def _environment_name(settings_class: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    if name.upper().startswith(PREFIX) or name == "DATABASE_URL":
        return f"{PREFIX}DATABASE_URL"
    return f"{settings_class.model_config.get('env_prefix', '')}{name}".upper()


def _cure(settings_class: type[BaseSettings], environment_name: str) -> str:
    prefix = settings_class.model_config.get("env_prefix", "")
    field = settings_class.model_fields.get(environment_name.removeprefix(prefix.upper()).lower())
    return field.description if field is not None and field.description else "a valid value"
