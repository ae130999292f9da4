"""What `doctor` says of one thing, and how it says all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.secure_defaults import unsafe
from shared.settings import CommonSettings


class Severity(StrEnum):
    """`note`: nothing is wrong, but somebody should know. `warning`: it will be wrong if nobody acts."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; if something is wrong, the text says what to do."""

    severity: Severity
    text: str


def ok(text: str) -> Finding:
    return Finding(Severity.OK, text)


def note(text: str) -> Finding:
    return Finding(Severity.NOTE, text)


def warning(text: str) -> Finding:
    return Finding(Severity.WARNING, text)


def wrong(text: str) -> Finding:
    return Finding(Severity.WRONG, text)


def report(findings: Sequence[Finding]) -> str:
    """One a line."""
    return "\n".join(f"{finding.severity:9}{finding.text}" for finding in findings)


def is_all_right(findings: Sequence[Finding]) -> bool:
    """Whether none of them is wrong."""
    return all(finding.severity is not Severity.WRONG for finding in findings)


def unsafe_findings(settings: CommonSettings) -> list[Finding]:
    """The settings that stop the start, or would if this were not development."""
    broken = [f"{rule.name}: {rule.text}." for rule in unsafe(settings)]
    if not settings.development:
        return [wrong(text) for text in broken] or [ok("The settings are safe.")]
    return [
        warning("REPLYCO_DEVELOPMENT lets settings pass that are not safe. Unset it in production."),
        *(warning(text) for text in broken),
    ]
