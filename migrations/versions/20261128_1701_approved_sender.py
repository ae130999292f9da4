"""The guide's step in which the sender of replies is approved."""

from migrations import online

revision = "20261128_1701"
down_revision = "20261128_1700"

_STEPS = "'order_report_columns', 'seller_profile', 'notification_preferences', 'approved_sender'"


def upgrade() -> None:
    # One by one: what held the table to fewer steps goes first.
    online.drop_constraint("setup_steps", "ck_setup_steps_step")
    online.add_check("setup_steps", "ck_setup_steps_step", f"step IN ({_STEPS})")
