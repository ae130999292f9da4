"""Accepted mail is found by lane, account and address, each in its turn."""

from migrations import online

revision = "20261128_1411"
down_revision = "20261128_1410"


def upgrade() -> None:
    online.add_check("accepted_mail", "ck_accepted_mail_lane", "lane IN ('quick', 'large', 'other', 'slow')")
    online.create_index(
        "ix_accepted_mail_turns",
        "accepted_mail",
        "lane, account_id, relay_address_id, next_attempt_at",
        where="state = 'accepted' AND NOT is_put_off",
    )
    online.create_index(
        "ix_accepted_mail_put_off",
        "accepted_mail",
        "lane, next_attempt_at",
        where="state = 'accepted' AND is_put_off",
    )
