"""`python -m services.mailrelay trace`: asks the running relay for what was said in a session."""

import http.client
import re
from typing import Final

from services.mailrelay.settings import SidePortSettings
from services.mailrelay.smtp.trace import PATH

_TIMEOUT_SECONDS: Final = 5
_NOT_FOUND: Final = 404


class NoTrace(Exception):
    """There is nothing to show; the text says why."""


def trace_of(named: str, settings: SidePortSettings) -> str:
    """The session's dialogue. `named` is its id, with or without the brackets that replies have. Raises NoTrace."""
    session_id = named.strip("() ")
    if not re.fullmatch(r"[0-9a-f]{16}", session_id):
        raise NoTrace(
            "A session's id has 16 digits from 0 to f, as at the end of every reply: 3f2a9c1b7d5e8f01."
        )
    relay = http.client.HTTPConnection(settings.side_host, settings.side_port, timeout=_TIMEOUT_SECONDS)
    try:
        relay.request("GET", f"{PATH}{session_id}")
        answer = relay.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        raise NoTrace(
            f"No relay answers at {settings.side_host} port {settings.side_port}. REPLYCO_SIDE_HOST and REPLYCO_SIDE_PORT"
            " say where `serve` can be asked."
        ) from None
    finally:
        relay.close()
    if answer.status == _NOT_FOUND:
        raise NoTrace(
            f"The session {session_id} is not known here, or not any more: a process remembers the last sessions, until it is"
            " restarted."
        )
    if answer.status != http.client.OK:
        raise NoTrace(f"The relay answered {answer.status}.")
    return text
