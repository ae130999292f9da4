"""Several rows may name one blob: the sweeper asks whether any does."""

from migrations import online

revision = "20261124_0032"
down_revision = "20261123_2321"


def upgrade() -> None:
    online.create_index("ix_accepted_mail_blob", "accepted_mail", "blob_key", where="blob_key IS NOT NULL")
