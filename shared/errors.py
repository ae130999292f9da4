"""The one base of every failure that we expect and have decided an answer for."""

from typing import ClassVar


class Expected(Exception):
    """A failure with a decided answer: the edge that meets it maps its class to an HTTP status or an SMTP reply.

    `code` is stable and part of the public interface. `fields` are safe to log and to show; the cause
    (`raise … from error`) stays private. The sentences that people read live with the edge, by code.
    """

    code: ClassVar[str]

    def __init__(self, **fields: str | int) -> None:
        super().__init__(self.code)
        self.fields = fields


class CannotStart(Exception):
    """A reason not to start, or not to go on, that an operator must end; the text says what to do and holds no secret."""
