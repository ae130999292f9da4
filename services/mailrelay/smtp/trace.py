"""The commands and replies of a session, kept for a postmaster's question: no address, no content, no line that is no command.

A process keeps the traces of all open sessions and of the last ones that ended, in memory. Noting an entry costs one
tuple; entries are masked when they are read.
"""

import re
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from services.mailrelay.smtp.command_parser import CommandRefused, parse_mail, parse_rcpt
from services.mailrelay.smtp.replies import Reply

# Of a session: so many first and last entries, and so much of each line.
_FIRST_ENTRIES: Final = 64
_LAST_ENTRIES: Final = 16
_LINE_BYTES: Final = 200
# Of all sessions that ended: some 10 MB as they usually are, 15 MB at worst.
ENDED_SESSIONS: Final = 2000
_ENDED_ENTRIES: Final = 50_000

# Verbs that are shown. Any other word may be a piece of a mail: only its length is.
_KNOWN_VERBS: Final = frozenset(
    {
        "EHLO",
        "HELO",
        "MAIL",
        "RCPT",
        "DATA",
        "BDAT",
        "RSET",
        "NOOP",
        "QUIT",
        "VRFY",
        "EXPN",
        "HELP",
        "STARTTLS",
    }
    | {"AUTH", "ETRN", "TURN", "XCLIENT"}
)
_SHOWN_PARAMETERS: Final = frozenset({"SIZE", "BODY", "SMTPUTF8"})
# A host name, or an address in brackets.
_HOST: Final = re.compile(r"[\w.:\[\]-]{1,100}")

# A line of the client, a reply of ours, or an event in our own words.
Entry = tuple[float, bytes | Reply | str]

PATH: Final = "/trace/"


class Trace:
    """The commands and replies of one session so far; `note` adds one."""

    __slots__ = ("_began", "_began_at", "_first", "_last", "_noted")

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._began_at = time.time()
        self._first: list[Entry] = []
        self._last: deque[Entry] | None = None
        self._noted = 0

    def note(self, what: bytes | Reply | str) -> None:
        if self._last is None:
            self._first.append((time.monotonic(), what))
            if len(self._first) == _FIRST_ENTRIES:
                self._last = deque(maxlen=_LAST_ENTRIES)
        else:
            self._last.append((time.monotonic(), what))
        self._noted += 1

    def note_line(self, line: bytes) -> None:
        self.note(line[:_LINE_BYTES])

    def has_client_spoken(self) -> bool:
        return any(isinstance(what, bytes) for _at, what in self._first)

    @property
    def entries(self) -> int:
        """How many entries are kept."""
        return len(self._first) + len(self._last or ())

    def as_text(self, session_id: str) -> str:
        began_at = datetime.fromtimestamp(self._began_at, UTC)
        lines = [f"session {session_id}, began {began_at:%Y-%m-%d %H:%M:%S} UTC; seconds since then:"]
        lines += [self._line(entry) for entry in self._first]
        if left_out := self._noted - self.entries:
            lines.append(f"           … {left_out} entries left out …")
        lines += [self._line(entry) for entry in self._last or ()]
        return "\n".join(lines) + "\n"

    def _line(self, entry: Entry) -> str:
        at, what = entry
        if isinstance(what, bytes):
            text = f"C: {_masked(what)}"
        elif isinstance(what, Reply):
            text = f"S: {what.code} {what.status} {what.text}"
        else:
            text = what
        return f"{at - self._began:10.3f} {text}"


class Traces:
    """The traces of one process's sessions, by session id."""

    def __init__(self) -> None:
        self._open: dict[str, Trace] = {}
        self._ended: dict[str, Trace] = {}
        self._ended_entries = 0

    def begin(self, session_id: str, trace: Trace) -> None:
        self._open[session_id] = trace

    def end(self, session_id: str) -> None:
        """Connections on which nothing is said (of a monitor, or refused at once) push no session out."""
        trace = self._open.pop(session_id)
        if not trace.has_client_spoken():
            return
        self._ended[session_id] = trace
        self._ended_entries += trace.entries
        while len(self._ended) > ENDED_SESSIONS or self._ended_entries > _ENDED_ENTRIES:
            self._ended_entries -= self._ended.pop(next(iter(self._ended))).entries

    def page(self, path: str) -> str | None:
        """The answer of the side port at `/trace/{session_id}`; None where there is none."""
        session_id = path.removeprefix(PATH)
        trace = self._open.get(session_id) or self._ended.get(session_id)
        return None if trace is None or session_id == path else trace.as_text(session_id)


def _masked(line: bytes) -> str:
    """A command line, without the addresses and the contents in it."""
    verb, _, argument = line.decode("utf-8", "replace").partition(" ")
    verb, argument = verb.strip().upper(), argument.strip(" \t")
    if verb not in _KNOWN_VERBS:
        return f"[{len(line)} bytes]"
    if not argument:
        return verb
    try:
        if verb in {"EHLO", "HELO"} and _HOST.fullmatch(argument):
            return f"{verb} {argument}"
        if verb == "MAIL":
            mail = parse_mail(argument, size_limit=10**20)
            words = [word for word in mail.options if word.partition("=")[0] in _SHOWN_PARAMETERS]
            return " ".join([f"MAIL FROM:<{_masked_address(mail.address)}>", *words])
        if verb == "RCPT":
            return f"RCPT TO:<{_masked_address(parse_rcpt(argument))}>"
    except CommandRefused:
        pass
    return f"{verb} [{len(argument.encode())} bytes]"


def _masked_address(address: str) -> str:
    if not address:
        return ""
    local_part, at, domain = address.rpartition("@")
    if not at:
        return "…"
    # A short local part would show itself with its first letter.
    initial = local_part[0] if len(local_part) > 3 and local_part[0].isalnum() else ""
    return f"{initial}…@{domain if _HOST.fullmatch(domain) else '…'}"
