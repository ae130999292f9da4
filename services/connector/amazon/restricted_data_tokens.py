"""The Tokens API: a token for calls that answer with buyers' personal data, which the seller's access token does not open.

Reports of orders with names and addresses, and the Orders API v0, ask for one; the Orders API v2026-01-01 goes by the application's
roles alone. It takes the place of the access token for the named resources only:
`dataclasses.replace(api, access_token=token.value)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import AmazonUnavailable

_OPERATION: Final = "createRestrictedDataToken"
_PATH: Final = "/tokens/2021-03-01/restrictedDataToken"
# As Amazon's model says.
_MAX_RESOURCES: Final = 50

Method = Literal["GET", "PUT", "POST", "DELETE"]
DataElement = Literal["buyerInfo", "shippingAddress", "buyerTaxInformation"]
# No query, no other host; braces, because `{orderId}` stands for any order.
_Path = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._{}-]+)+$", max_length=500)]


class RestrictedResource(BaseModel):
    """Method and path of a call. `data_elements` belongs to orders of v0 alone; a report's document has none, and its exact path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    path: _Path
    data_elements: tuple[DataElement, ...] = Field((), serialization_alias="dataElements")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    restrictedDataToken: SecretStr = Field(min_length=1, max_length=8192)  # noqa: N815  (Amazon's name)
    expiresIn: int = Field(gt=0, le=24 * 3600)  # noqa: N815


@dataclass(frozen=True, slots=True)
class RestrictedDataToken:
    """Good for the resources it was asked for, from now on for `lifetime`: an hour, as Amazon's examples have it."""

    value: SecretStr
    lifetime: timedelta


async def create_restricted_data_token(
    api: SellerApi, resources: Sequence[RestrictedResource]
) -> RestrictedDataToken:
    """Ask for one token for all of these resources. Nothing is sent if there is none, or more than 50: ValueError.

    Raises what `SpApiClient.get` raises; RoleMissing if the application may not see what was named.
    """
    if not 0 < len(resources) <= _MAX_RESOURCES:
        raise ValueError(f"Amazon takes 1 to {_MAX_RESOURCES} resources")
    body: dict[str, Any] = {
        "restrictedResources": [
            resource.model_dump(mode="json", by_alias=True, exclude_defaults=True) for resource in resources
        ]
    }
    try:
        answer = _Answer.model_validate(await api.ask(_OPERATION, _PATH, body))
    except ValidationError:
        raise AmazonUnavailable(reason="unexpected_form") from None
    return RestrictedDataToken(answer.restrictedDataToken, timedelta(seconds=answer.expiresIn))
