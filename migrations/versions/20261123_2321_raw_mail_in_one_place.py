"""Raw mail lies in its row or in the blob store, never in both and never in neither."""

from migrations import online

revision = "20261123_2321"
down_revision = "20261123_2320"


def upgrade() -> None:
    online.add_check(
        "accepted_mail",
        "ck_accepted_mail_raw_or_blob",
        "num_nonnulls(raw, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1",
    )
