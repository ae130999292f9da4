"""Every reply that the relay gives, named, with the rule it follows.

First digit: 2 done, 3 go on, 4 try again later, 5 do not try again. A sender keeps a mail that got a 4 for days and
gives one up that got a 5: so whatever is our fault, or unforeseen, is a 4 (RFC 5321 §4.2.1). The second number is the
enhanced status code (RFC 3463, RFC 2034). No reply repeats what the client sent. Each ends with the session's id, so that a
postmaster who shows one can be answered.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    status: str
    text: str

    def naming(self, identifier: str) -> "Reply":
        return Reply(self.code, self.status, f"{self.text} {identifier}")


# Done.
OK: Final = Reply(250, "2.0.0", "OK")
SENDER_OK: Final = Reply(250, "2.1.0", "sender OK")
RECIPIENT_OK: Final = Reply(250, "2.1.5", "recipient OK")
# RFC 5321 §4.2.5: with this reply the mail is ours. Only after COMMIT.
ACCEPTED: Final = Reply(250, "2.0.0", "accepted as")
# RFC 3207 §4.
START_TLS: Final = Reply(220, "2.0.0", "ready to start TLS")
BYE: Final = Reply(221, "2.0.0", "bye")
HELP: Final = Reply(214, "2.0.0", "https://www.rfc-editor.org/rfc/rfc5321")
# RFC 5321 §3.5.3: the answer of a server that does not reveal which mailboxes exist.
CANNOT_VERIFY: Final = Reply(252, "2.5.2", "cannot VRFY user, but will take mail for known addresses")
# RFC 5321 §4.1.1.4 (a 3yz reply carries no enhanced code, RFC 2034 §4).
START_MAIL: Final = "354 end data with <CR><LF>.<CR><LF>"

# Try again later.
DATABASE_AWAY: Final = Reply(451, "4.3.0", "cannot store mail at the moment, try again later")
# RFC 3463: 4.1.0, a matter of the address. After a restore an address may be missing that senders were given.
ADDRESS_UNCERTAIN: Final = Reply(451, "4.1.0", "cannot look up this address at the moment, try again later")
QUEUE_FULL: Final = Reply(452, "4.3.1", "too much mail at the moment, try again later")
# RFC 5321 §4.5.3.1.10: the sender tries the others in a transaction of their own.
TOO_MANY_RECIPIENTS: Final = Reply(452, "4.5.3", "too many recipients, send the rest separately")
# RFC 3463: 4.2.1, the mailbox takes nothing at the moment.
TOO_MUCH_MAIL: Final = Reply(452, "4.2.1", "too much mail within an hour, try again later")
UNFORESEEN: Final = Reply(451, "4.3.0", "local error, try again later")
# RFC 5321 §3.8: a server may close with 421 at any time.
TIMED_OUT: Final = Reply(421, "4.4.2", "timed out, closing")
SESSION_TOO_LONG: Final = Reply(421, "4.4.2", "session too long, connect again")
SHUTTING_DOWN: Final = Reply(421, "4.3.2", "restarting, connect again")
TOO_SLOW: Final = Reply(421, "4.4.2", "mail arrives too slowly, closing")
# RFC 3463: 4.7.0, a matter of manners that time heals.
TOO_MANY_CONNECTIONS: Final = Reply(421, "4.7.0", "too many connections, try again later")
TOO_MANY_COMMANDS: Final = Reply(421, "4.7.0", "too many commands without a mail, closing")
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "too many errors, closing")
TOO_MANY_UNKNOWN: Final = Reply(421, "4.7.0", "too many unknown recipients, try again later")

# Do not try again.
LINE_TOO_LONG: Final = Reply(500, "5.5.2", "command line too long")
UNRECOGNIZED: Final = Reply(500, "5.5.1", "command not recognized")
NOT_UTF8: Final = Reply(500, "5.5.2", "command is not UTF-8")
SYNTAX: Final = Reply(501, "5.5.4", "syntax error in the arguments")
NOT_IMPLEMENTED: Final = Reply(502, "5.5.1", "command not implemented")
EHLO_FIRST: Final = Reply(503, "5.5.1", "say EHLO first")
TLS_ALREADY: Final = Reply(503, "5.5.1", "TLS is active already")
# RFC 3207 §4 has 530 for it, which makes the sender give the mail up; the fault may be in our certificate, and then it is mended.
TLS_FIRST: Final = Reply(451, "4.7.0", "say STARTTLS first")
MAIL_TWICE: Final = Reply(503, "5.5.1", "MAIL was given already")
MAIL_FIRST: Final = Reply(503, "5.5.1", "MAIL is needed first")
RECIPIENT_FIRST: Final = Reply(503, "5.5.1", "RCPT is needed first")
# RFC 5321 §3.3: DATA after nothing but refused recipients.
NO_VALID_RECIPIENTS: Final = Reply(554, "5.5.1", "no valid recipients")
UNKNOWN_ADDRESS: Final = Reply(550, "5.1.1", "no such address here")
# RFC 1870 §6.1, §6.3.
TOO_LARGE: Final = Reply(552, "5.3.4", "message is larger than this server takes")
UNKNOWN_PARAMETER: Final = Reply(555, "5.5.4", "parameter not recognized")
# RFC 6531 §3.5.
NEEDS_SMTPUTF8: Final = Reply(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
