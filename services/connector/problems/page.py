"""The page of all problem codes: what the `type` of a problem points to. Served, and checked into docs/problems.md."""

from typing import Final

from services.connector.problems.catalogue import PROBLEMS

_BEGINNING: Final = """\
# Problem codes

Every failure of the REST API is `application/problem+json` (RFC 9457) with one of these codes. Codes are stable; the sentences are for
people and may change. Words in braces are members of the answer of the same name. This page is generated (`make api-docs`).
"""


def problem_page() -> str:
    """The page of all problem codes in Markdown, sorted by code."""
    parts = [_BEGINNING]
    for code, problem in sorted(PROBLEMS.items()):
        english, german = problem.en, problem.de
        parts.append(
            f"## {code}\n\nStatus {problem.status}\n\n- {english[0]}: {english[1]}\n- {german[0]}: {german[1]}\n"
        )
    return "\n".join(parts)
