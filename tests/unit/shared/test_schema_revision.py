"""Which revisions of the tables this code works on."""

import pytest
from alembic.script import ScriptDirectory

from migrations.upgrade import alembic_config
from shared.schema_revision import Revisions, packaged_revisions, schema_problem

REVISIONS = Revisions(frozenset({"first", "second", "third"}), "third")


def test_the_revisions_are_those_that_alembic_reads():
    scripts = ScriptDirectory.from_config(alembic_config())
    known, head = packaged_revisions()

    assert known == {script.revision for script in scripts.walk_revisions()}
    assert head == scripts.get_current_head()


@pytest.mark.parametrize("found", ["third", "of_a_later_version"])
def test_code_works_on_its_own_tables_and_on_later_ones(found: str):
    assert schema_problem(found, REVISIONS) is None


@pytest.mark.parametrize("found", ["first", "second", None])
def test_code_does_not_work_on_earlier_tables_and_says_what_to_do(found: str | None):
    problem = schema_problem(found, REVISIONS)

    assert problem is not None
    assert "python -m migrations upgrade" in problem
    assert found is None or (found in problem and "third" in problem)
