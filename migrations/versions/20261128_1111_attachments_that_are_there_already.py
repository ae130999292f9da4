"""The attachments of now are made ready to be the first partition of their table, while they are written and read.

It takes those of messages up to the end of next month, or of the month after the newest one where a clock was wrong; whoever has not got
to the next migration by then begins here anew.
"""

from alembic import op
from sqlalchemy import text

from migrations import online

revision = "20261128_1111"
down_revision = "20261128_1110"

_END = """
    SELECT uuid_at(date_trunc('month', greatest(now(), newest) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '2 months')
    FROM (SELECT (SELECT uuid_extract_timestamp(message_id) FROM attachments ORDER BY message_id DESC LIMIT 1) AS newest) AS stored
"""


def upgrade() -> None:
    online.add_check(
        "attachments",
        "ck_attachments_content_or_blob",
        "num_nonnulls(content, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1",
    )
    online.create_index("ix_attachments_before_blob", "attachments", "blob_key", where="blob_key IS NOT NULL")
    online.create_index("pk_attachments_before", "attachments", "id, message_id", is_unique=True)
    # So that nothing is looked through when it becomes a partition.
    end = op.get_bind().scalar(text(_END))
    online.drop_constraint("attachments", "ck_attachments_before_end")
    online.add_check("attachments", "ck_attachments_before_end", f"message_id < '{end}'")
