"""Every failure that the connector expects has an answer in both languages."""

import importlib
import pkgutil
from string import Formatter

import pytest

import services.connector
from services.connector.http.language import Language, preferred_language
from services.connector.problems.catalogue import PROBLEMS, problem_body
from shared.errors import Expected
from tests.cases import every_case


def _every_class(base: type[Expected]) -> set[type[Expected]]:
    return {base} | {found for child in base.__subclasses__() for found in _every_class(child)}


def _codes() -> set[str]:
    for module in pkgutil.walk_packages(services.connector.__path__, "services.connector."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {
        error.code
        for error in _every_class(Expected) - {Expected}
        if error.__module__.startswith(("services.connector", "shared")) and hasattr(error, "code")
    }


def test_every_expected_failure_has_an_entry():
    # Told on the command line only, to a sender of mail only, told of as a check's result or a reply's state, or written beside an order
    # report that a worker reads.
    of_reports = {
        "no_order_report",
        "order_report_taken_over",
        "report_damaged",
        "report_empty",
        "report_too_large",
        "report_zip_bomb",
    }
    assert _codes() - set(PROBLEMS) <= {"port_taken", "blobs_full", "smtp_failed"} | of_reports


def test_both_languages_say_something_and_name_the_same_fields():
    with every_case() as case:
        for code, problem in PROBLEMS.items():
            with case(code):
                fields = []
                for title, detail in (problem.en, problem.de):
                    assert title.strip()
                    assert detail.endswith((".", "?", "!"))
                    fields.append({name for _, name, _, _ in Formatter().parse(detail) if name})

                assert 400 <= problem.status < 600
                assert fields[0] == fields[1]
                assert problem.en != problem.de


def test_an_error_s_fields_cannot_replace_the_standard_members():
    body = problem_body("not_found", Language.EN, {"status": 200, "order": "x"})

    assert body["status"] == 404
    assert body["order"] == "x"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, Language.EN),
        ("", Language.EN),
        ("de", Language.DE),
        ("de-AT,en;q=0.8", Language.DE),
        ("en;q=0.8, DE;Q=0.9", Language.DE),
        ("fr, de;q=0", Language.EN),
        ("de;q=nan", Language.EN),
        ("de;q=inf, en;q=0.1", Language.EN),
        ("de;q=x;;,,", Language.EN),
        ("fr;q=1, de;q=0.1", Language.DE),
    ],
)
def test_the_language_that_is_liked_best_is_chosen(header: str | None, language: Language):
    assert preferred_language(header) is language
