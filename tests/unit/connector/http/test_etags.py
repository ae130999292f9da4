"""A change may insist on the version that it was made for."""

import pytest

from services.connector.http.etags import PreconditionFailed, etag_of, is_among, require_match, with_digest


def test_a_tag_is_a_quoted_version():
    assert etag_of(7) == '"7"'


@pytest.mark.parametrize(
    "if_match", [None, "*", '"7"', 'W/"7"', '"7.5feceb66"', 'W/"7.x"', '"3", "7"', ' "7" ']
)
def test_the_change_is_let_through_when_no_version_or_this_one_is_named(if_match: str | None):
    require_match(if_match, 7)


@pytest.mark.parametrize("if_match", ['"6"', "7", "", '"77"', '"77.7"', '"6.7"', '"6", "8"', "nonsense"])
def test_the_change_is_refused_when_other_versions_are_named(if_match: str):
    with pytest.raises(PreconditionFailed):
        require_match(if_match, 7)


def test_an_answer_is_known_by_version_and_digest():
    tag = with_digest(etag_of(7), "5feceb66")

    assert tag == '"7.5feceb66"'
    assert all(is_among(tag, header) for header in (tag, f"W/{tag}", f'"1", {tag}', "*"))
    assert not any(is_among(tag, header) for header in ("", '"7"', '"7.6b86b273"', "nonsense"))
