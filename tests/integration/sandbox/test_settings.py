"""The settings that are lists."""

import pytest
from pydantic import ValidationError

from services.sandbox.settings import SandboxSettings


def test_redirect_uris_are_a_comma_list_or_json() -> None:
    comma = SandboxSettings.model_validate({"redirect_uris": "http://a/x, http://b/y"})
    as_json = SandboxSettings.model_validate({"redirect_uris": '["http://a/x", "http://b/y"]'})

    assert comma.redirect_uris == as_json.redirect_uris == ("http://a/x", "http://b/y")


def test_restricted_roles_are_a_comma_list_of_known_ones() -> None:
    settings = SandboxSettings.model_validate({"restricted_roles": "tax_invoicing, tax_remittance"})

    assert settings.restricted_roles == ("tax_invoicing", "tax_remittance")
    with pytest.raises(ValidationError):
        SandboxSettings.model_validate({"restricted_roles": "everything"})
