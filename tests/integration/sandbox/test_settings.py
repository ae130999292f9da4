"""The settings that are lists."""

from services.sandbox.settings import SandboxSettings


def test_redirect_uris_are_a_comma_list_or_json() -> None:
    comma = SandboxSettings.model_validate({"redirect_uris": "http://a/x, http://b/y"})
    as_json = SandboxSettings.model_validate({"redirect_uris": '["http://a/x", "http://b/y"]'})

    assert comma.redirect_uris == as_json.redirect_uris == ("http://a/x", "http://b/y")
