"""A change may insist on the version that it was made for."""

import pytest

from services.connector.etags import PreconditionFailed, etag_of, require_match


def test_a_tag_is_a_quoted_version():
    assert etag_of(7) == '"7"'


@pytest.mark.parametrize("if_match", [None, "*", '"7"', 'W/"7"', '"3", "7"', ' "7" '])
def test_the_change_is_let_through_when_no_version_or_this_one_is_named(if_match: str | None):
    require_match(if_match, 7)


@pytest.mark.parametrize("if_match", ['"6"', "7", "", '"77"', '"6", "8"', "nonsense"])
def test_the_change_is_refused_when_other_versions_are_named(if_match: str):
    with pytest.raises(PreconditionFailed):
        require_match(if_match, 7)
