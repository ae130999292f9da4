"""The orders of the stores that are connected already are asked for, too: not of all at once."""

from migrations import online

revision = "20261128_1956"
down_revision = "20261128_1955"


def upgrade() -> None:
    online.in_batches(
        "integrations",
        "INSERT INTO order_syncs (integration_id, account_id, next_at, history_from)"
        " SELECT id, account_id, now() + random() * interval '15 minutes',"
        " CASE region WHEN 'fe' THEN timestamptz '2016-01-01Z' ELSE now() - interval '730 days' END"
        " FROM integrations WHERE id > :first AND id <= :last AND removed_at IS NULL ON CONFLICT DO NOTHING",
    )
