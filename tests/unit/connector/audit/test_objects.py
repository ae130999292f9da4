"""Which object an entry of the audit log is about, and who is told its name."""

from uuid import uuid4

import pytest

from services.connector.accounts.callers import Caller
from services.connector.audit.objects import Named, ObjectKind, kind_of, shown, wanted_of
from services.connector.web.texts import page_texts
from shared.permissions import Level, Permission

# About a session, an attempt, a passkey, or the account: nothing that has a name of its own.
NAMELESS = {
    "account_changed", "account_closed", "account_created", "account_erased", "account_erasure_asked", "account_reopened", "authorization_begun", "authorization_confirmed", "authorization_failed", "authorization_link_made",
    "buyer_erased", "buyer_exported", "data_ended", "data_key_changed", "data_key_removed", "failed_sign_ins", "kind.muted", "kind.unmuted", "mail_domain_added", "mail_domain_proven", "mail_domain_removed", "passkey_added", "passkey_count_fell", "passkey_removed", "passkey_renamed",
    "retention_changed", "second_step_failed", "security_changed", "seller_known_elsewhere", "session_confirmed", "session_ended", "signed_in",
    "signed_out", "single_sign_on_changed", "single_sign_on_failed", "single_sign_on_only_lifted", "single_sign_on_removed",
}  # fmt: skip


def caller(inbox: Level) -> Caller:
    levels = {Permission.GENERAL_ADMIN: Level.VIEW, Permission.INBOX_MESSAGES: inbox}
    return Caller(uuid4(), uuid4(), levels, session_id=uuid4())


def test_every_action_names_its_object_or_is_known_to_have_none():
    actions = {
        key.removeprefix("audit.action.") for key in page_texts("en") if key.startswith("audit.action.")
    }

    assert {action for action in actions if kind_of(action) is None} == NAMELESS & actions


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("reply_written", ObjectKind.CONVERSATION),
        ("reply_template_created", ObjectKind.REPLY_TEMPLATE),
        ("conversation.closed", ObjectKind.CONVERSATION),
        ("message.released", ObjectKind.MESSAGE),
        ("integration_paused", ObjectKind.INTEGRATION),
        ("webhook_delivery_resent", ObjectKind.WEBHOOK),
        ("api_key_revoked", ObjectKind.API_KEY),
        ("user_invited", ObjectKind.INVITATION),
        ("user_removed", ObjectKind.USER),
        ("mass_reading", ObjectKind.READER),
        ("lamp_lit", None),
    ],
)
def test_the_longest_beginning_decides(action: str, kind: ObjectKind | None):
    assert kind_of(action) is kind


@pytest.mark.parametrize(
    "kind", [ObjectKind.CONVERSATION, ObjectKind.MESSAGE, ObjectKind.ORDER, ObjectKind.REPLY_TEMPLATE]
)
def test_who_may_not_read_the_inbox_is_told_neither_name_nor_end(kind: ObjectKind):
    object_id = uuid4()
    stranger, agent = caller(Level.NONE), caller(Level.VIEW)

    assert wanted_of(stranger, [(kind, object_id)]) == {}
    assert wanted_of(agent, [(kind, object_id)]) == {kind: {object_id}}
    for named in ({}, {object_id: Named("303-1")}):
        hidden = shown(stranger, kind, object_id, {} if named else named)
        assert hidden is not None
        assert (hidden.name, hidden.conversation_id, hidden.is_gone) == (None, None, False)
    gone = shown(agent, kind, object_id, {})
    assert gone is not None
    assert gone.is_gone
