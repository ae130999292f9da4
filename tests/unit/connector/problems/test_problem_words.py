"""A missing permission is named as the pages name it, and as the API names it."""

from services.connector.http.language import Language
from services.connector.problems.catalogue import problem_body


def test_a_missing_permission_is_named_in_both_ways():
    body = problem_body("permission_missing", Language.DE, {"permission": "general.admin", "level": "edit"})

    assert "„Allgemein → Admin (anzeigen & bearbeiten)“" in str(body["detail"])
    assert (body["permission"], body["level"]) == ("general.admin", "edit")
