"""Mail is opened in the inbox alone, with keys that only a caller with inbox.messages gets."""

import ast
from pathlib import Path

from tests.cases import every_case

CONNECTOR = Path(__file__).parents[3] / "services/connector"
INBOX = CONNECTOR / "inbox"
FILES = sorted(CONNECTOR.rglob("*.py"))
# Where mail lies sealed, and what opens the raw one.
MAIL = {"'messages'", "'conversations'", "'attachments'", "'accepted_mail'"}


def opens_mail(source: str) -> list[int]:
    """The lines that name a sealed place of mail, or open raw mail."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and (
            (
                ast.unparse(call.func) in {"Place", "Opener"}
                and MAIL & {ast.unparse(each) for each in call.args}
            )
            or ast.unparse(call.func).rpartition(".")[2] in {"ContentKey", "open_mail"}
        )
    ]


def takes_keys(source: str) -> list[int]:
    """The lines that ask a keyring for an account's keys."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("keyring.of")
    ]


def test_no_other_room_opens_mail_and_the_inbox_asks_for_the_permission_first():
    with every_case() as case:
        for path in FILES:
            with case(path.relative_to(CONNECTOR)):
                source = path.read_text("utf-8")

                if not path.is_relative_to(INBOX):
                    assert opens_mail(source) == []
                elif path.name != "unsealing.py":
                    assert takes_keys(source) == []


def test_what_would_be_wrong_is_found():
    assert opens_mail("keys.open(Place('messages', 'body_text', row_id), sealed)") == [1]
    assert opens_mail("Opener(keys, 'attachments', row_id).text('filename', sealed)") == [1]
    assert opens_mail("content_key.open_mail(whole, blob_id)") == [1]
    assert takes_keys("keys = await keyring.of(sessions, caller.account_id)") == [1]
