"""Amazon's notices to the application about its client secret: a new one, and that the present one ends.

See "Rotate your application's client credentials" in Amazon's SP-API documentation; Amazon publishes no schema of them.
"""

from typing import Annotated, Final, Literal

from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

_Id = Annotated[str, Field(min_length=1, max_length=200)]
_NEW_SECRET = ("payload", "applicationOAuthClientNewSecret")
NEW_SECRET_KIND: Final = "APPLICATION_OAUTH_CLIENT_NEW_SECRET"  # noqa: S105 - what Amazon calls the notice
EXPIRY_KIND: Final = "APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY"
_EXPIRY = ("payload", "applicationOAuthClientSecretExpiry")


class _Notice(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    # The same for each time that one notice is delivered.
    notification_id: _Id = Field(validation_alias=AliasPath("notificationMetadata", "notificationId"))


class NewSecret(_Notice):
    """Amazon has made a new client secret. The one before stays valid for seven days."""

    kind: Literal["APPLICATION_OAUTH_CLIENT_NEW_SECRET"] = Field(validation_alias="notificationType")
    client_id: _Id = Field(validation_alias=AliasPath(*_NEW_SECRET, "clientId"))
    secret: SecretStr = Field(
        min_length=1, max_length=4096, validation_alias=AliasPath(*_NEW_SECRET, "newClientSecret")
    )
    ends_at: AwareDatetime = Field(validation_alias=AliasPath(*_NEW_SECRET, "newClientSecretExpiryTime"))


class SecretExpiry(_Notice):
    """The client secret ends and is to be rotated; Amazon tells it 90 days before."""

    kind: Literal["APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY"] = Field(validation_alias="notificationType")
    client_id: _Id = Field(validation_alias=AliasPath(*_EXPIRY, "clientId"))
    ends_at: AwareDatetime = Field(validation_alias=AliasPath(*_EXPIRY, "clientSecretExpiryTime"))


def read_notice(body: SecretStr) -> NewSecret | SecretExpiry | None:
    """What it tells, or None if it is something else."""
    for kind in (NewSecret, SecretExpiry):
        try:
            return kind.model_validate_json(body.get_secret_value())
        except ValidationError:
            continue
    return None
