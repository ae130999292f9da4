"""What a provider says of itself, and what that must be."""

from typing import Any

import pytest

from services.connector.http.language import Language
from services.connector.single_sign_on.failure_texts import failure_text
from services.connector.single_sign_on.metadata import (
    Failure,
    ProviderFailed,
    discovery_url,
    read_metadata,
)

ISSUER = "https://login.example.com/tenant"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


def test_the_least_is_enough():
    metadata = read_metadata(ISSUER, DOCUMENT)

    assert (metadata.takes_basic, metadata.names_issuer, metadata.userinfo_endpoint) == (True, False, None)


def test_the_secret_goes_in_the_body_if_it_has_to():
    methods = ["private_key_jwt", "client_secret_post"]

    assert not read_metadata(
        ISSUER, {**DOCUMENT, "token_endpoint_auth_methods_supported": methods}
    ).takes_basic


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"issuer": f"{ISSUER}/"}, Failure.ISSUER_DIFFERS),
        ({"issuer": None}, Failure.ISSUER_DIFFERS),
        ({"response_types_supported": ["id_token"]}, Failure.NO_CODE_FLOW),
        ({"code_challenge_methods_supported": ["plain"]}, Failure.NO_PKCE),
        ({"code_challenge_methods_supported": "S256"}, Failure.NO_PKCE),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, Failure.NO_ALGORITHM),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, Failure.NO_CLIENT_SECRET),
        ({"token_endpoint_auth_methods_supported": "client_secret_basic"}, Failure.NO_CLIENT_SECRET),
        ({"authorization_endpoint": "http://login.example.com/"}, Failure.ADDRESS_WRONG),
        ({"authorization_endpoint": "javascript:alert(1)"}, Failure.ADDRESS_WRONG),
        ({"authorization_endpoint": "https://a@b.example/"}, Failure.ADDRESS_WRONG),
        ({"authorization_endpoint": "https://b.example/\\@c.example"}, Failure.ADDRESS_WRONG),
        ({"authorization_endpoint": "https://b.example/#x"}, Failure.ADDRESS_WRONG),
        ({"token_endpoint": None}, Failure.ADDRESS_WRONG),
        ({"token_endpoint": "https://[::1"}, Failure.ADDRESS_WRONG),
        ({"jwks_uri": 5}, Failure.ADDRESS_WRONG),
        ({"userinfo_endpoint": "ftp://x.example"}, Failure.ADDRESS_WRONG),
    ],
)
def test_what_cannot_be_signed_in_with_is_named(changes: dict[str, Any], failure: Failure):
    with pytest.raises(ProviderFailed) as failed:
        read_metadata(ISSUER, DOCUMENT | changes)

    assert failed.value.reason is failure


def test_the_description_stands_behind_the_issuer():
    assert discovery_url(ISSUER) == discovery_url(f"{ISSUER}/")
    assert discovery_url(ISSUER) == f"{ISSUER}/.well-known/openid-configuration"


@pytest.mark.parametrize("failure", list(Failure))
def test_every_failure_has_a_sentence_in_both_languages(failure: Failure):
    german, english = failure_text(failure, Language.DE), failure_text(failure, Language.EN)

    assert german != english
    assert german.endswith((".", "?"))
    assert english.endswith((".", "?"))
