"""Parses the arguments of MAIL and RCPT: a path and its parameters. Pure, and strict only where it matters.

An unusual sender address is no reason to refuse a mail. A path is taken with or without angle brackets, with quoted
local parts, and with a source route, which is ignored (RFC 5321 §4.1.2, appendix C).
"""

import re
from dataclasses import dataclass
from typing import Final

from services.mailrelay.smtp import replies
from services.mailrelay.smtp.replies import Reply

# Quoted strings and everything else but brackets, blanks and control characters. Linear: the alternatives begin differently.
_PATH: Final = r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^<>"\s\x00-\x1f\x7f])'
_ARGUMENT: Final = re.compile(
    rf" *(?:<(?P<path>{_PATH}*)>|(?P<bare>{_PATH}+))(?: +(?P<parameters>[\x21-\x7e ]*))?"
)
_SOURCE_ROUTE: Final = re.compile(r"@[^:]*:")
_PARAMETER: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[\x21-\x3c\x3e-\x7e]+))?")


class CommandRefused(Exception):
    """A command that cannot be carried out as it stands; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class MailCommand:
    """`address` is empty for the null sender `<>` of delivery reports."""

    address: str
    options: tuple[str, ...]
    # The size that the client declared with SIZE, which it need not keep.
    size: int = 0


def parse_mail(argument: str, *, size_limit: int) -> MailCommand:
    """The argument of MAIL. Raises CommandRefused."""
    address, parameters = _parse(argument, "FROM:")
    smtputf8, size = False, 0
    for name, value in parameters:
        match name:
            case "SIZE":
                if value is None or not value.isdigit() or len(value) > 20:
                    raise CommandRefused(replies.SYNTAX)
                size = int(value)
                if size > size_limit:
                    raise CommandRefused(replies.TOO_LARGE)
            case "BODY":
                if value is None or value.upper() not in {"7BIT", "8BITMIME"}:
                    raise CommandRefused(replies.SYNTAX)
            case "SMTPUTF8":
                if value is not None:
                    raise CommandRefused(replies.SYNTAX)
                smtputf8 = True
            case _:
                raise CommandRefused(replies.UNKNOWN_PARAMETER)
    if not address.isascii() and not smtputf8:
        raise CommandRefused(replies.NEEDS_SMTPUTF8)
    return MailCommand(
        address, tuple(name if value is None else f"{name}={value}" for name, value in parameters), size
    )


def parse_rcpt(argument: str) -> str:
    """The argument of RCPT: the address. Raises CommandRefused."""
    address, parameters = _parse(argument, "TO:")
    if parameters:
        raise CommandRefused(replies.UNKNOWN_PARAMETER)
    if not address:
        raise CommandRefused(replies.SYNTAX)
    return address


def _parse(argument: str, keyword: str) -> tuple[str, list[tuple[str, str | None]]]:
    if argument[: len(keyword)].upper() != keyword:
        raise CommandRefused(replies.SYNTAX)
    match = _ARGUMENT.fullmatch(argument, len(keyword))
    if match is None:
        raise CommandRefused(replies.SYNTAX)
    parameters: list[tuple[str, str | None]] = []
    for word in (match["parameters"] or "").split():
        parameter = _PARAMETER.fullmatch(word)
        if parameter is None:
            raise CommandRefused(replies.SYNTAX)
        parameters.append((parameter["name"].upper(), parameter["value"]))
    path = match["bare"] if match["path"] is None else match["path"]
    return _SOURCE_ROUTE.sub("", path, count=1) if path.startswith("@") else path, parameters
