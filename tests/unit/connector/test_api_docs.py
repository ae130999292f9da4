"""What docs/ says about the REST API is what the code does."""

import json
from pathlib import Path

from services.connector.app import openapi_document
from services.connector.problems.page import problem_page

DOCS = Path(__file__).parents[3] / "docs"
CURE = "The API has changed. Look at the difference, then write its descriptions anew: make api-docs"


def test_the_checked_in_description_of_the_api_is_the_code_s():
    assert json.loads((DOCS / "openapi.json").read_text()) == openapi_document(), CURE


def test_the_checked_in_page_of_problem_codes_is_the_code_s():
    assert (DOCS / "problems.md").read_text() == problem_page(), CURE


def test_every_post_by_which_a_caller_changes_something_takes_an_idempotency_key():
    without = {
        "/api/v1/sessions",
        "/api/v1/sessions/second-step",
        "/api/v1/sessions/passkey/options",
        "/api/v1/sessions/passkey",
        "/api/v1/single-sign-on/attempts",
        "/api/v1/password-resets",
        "/api/v1/password-resets/use",
        "/api/v1/conversations/search",
        "/api/v1/orders/search",
        "/api/v1/page-feedback",
        "/api/v1/invitations/look",
        "/api/v1/invitations/accept",
        "/api/v1/conversations/{conversation_id}/replies/check",
        # Saving a view again under its name leaves one, as it is.
        "/api/v1/saved-views",
        # Its body is read when there is room for it, not to be compared.
        "/api/v1/conversations/{conversation_id}/files",
    }
    for path, operations in openapi_document()["paths"].items():
        if "post" in operations:
            names = [parameter["name"] for parameter in operations["post"].get("parameters", [])]
            assert ("Idempotency-Key" in names) == (path not in without), path
