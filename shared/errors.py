"""The base classes of failures that are expected and have a decided answer."""

from collections.abc import Mapping
from typing import ClassVar


class Expected(Exception):
    """A failure with a decided answer: the edge that meets it maps its class to an HTTP status or an SMTP reply.

    `code` is stable and part of the public interface. `fields` are safe to log and to show; the cause
    (`raise … from error`) stays private. The sentences that people read live with the edge, by code.
    `shown` is for whoever asked, and for no log; so are `headers`.
    """

    code: ClassVar[str]

    def __init__(self, **fields: str | int) -> None:
        super().__init__(self.code)
        self.fields = fields
        self.shown: Mapping[str, object] = {}
        self.headers: Mapping[str, str] = {}


class CannotStart(Exception):
    """The process cannot start or go on until an operator mends something; the text says what, and holds no secret."""
