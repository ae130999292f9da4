"""A verdict more, and the indexes by which mail that Amazon has addressed to somebody else is found."""

from migrations import online

revision = "20261128_1401"
down_revision = "20261128_1400"

_VERDICTS = "authenticity IN ('authentic', 'misdirected', 'forged', 'uncheckable', 'stranger', 'not_checked')"


def upgrade() -> None:
    online.drop_constraint("messages", "ck_messages_authenticity")
    online.add_check("messages", "ck_messages_authenticity", _VERDICTS)
    online.create_index(
        "ix_messages_misdirected", "messages", "integration_id, id", where="authenticity = 'misdirected'"
    )
    online.create_index(
        "ix_integrations_misdirected",
        "integrations",
        "misdirected_mail_at",
        where="misdirected_mail_at IS NOT NULL",
    )
