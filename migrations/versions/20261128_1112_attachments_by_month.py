"""Attachments are partitioned by the months of their messages. What is there becomes the first partition as it is."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_1112"
down_revision = "20261128_1111"

_ASIDE = (
    "ALTER TABLE attachments RENAME TO attachments_before",
    "ALTER TABLE attachments_before DROP CONSTRAINT pk_attachments",
    "ALTER TABLE attachments_before ADD CONSTRAINT pk_attachments_before PRIMARY KEY USING INDEX pk_attachments_before",
    "ALTER TABLE attachments_before RENAME CONSTRAINT uq_attachments_message_id_position TO uq_attachments_before_position",
)
# The rights of the roles that use it, at once: `upgrade` gives them only at its end.
_SAME_RIGHTS = """
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN SELECT grantee::regrole::text AS role, privilege_type
        FROM pg_class, aclexplode(relacl) WHERE oid = 'attachments_before'::regclass AND grantee <> 0
    LOOP
        EXECUTE format('GRANT %s ON attachments TO %s', given.privilege_type, given.role);
    END LOOP;
END
$$
"""
_FIRST_PARTITION = """
DO $$
BEGIN
    EXECUTE format('ALTER TABLE attachments ATTACH PARTITION attachments_before FOR VALUES FROM (MINVALUE) TO (%L)',
        (SELECT (regexp_match(pg_get_constraintdef(oid), '''([0-9a-f-]{36})'''))[1] FROM pg_constraint
        WHERE conname = 'ck_attachments_before_end'));
END
$$
"""


def upgrade() -> None:
    for statement in _ASIDE:
        op.execute(statement)
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("filename", sa.LargeBinary(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("sniffed_type", sa.Text(), nullable=True),
        sa.Column("content_id", sa.LargeBinary(), nullable=True),
        sa.Column("scan", sa.Text(), nullable=True),
        sa.Column("blob_key", sa.Text(), nullable=True),
        sa.Column("blob_digest", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("scan IN ('clean', 'infected', 'failed')", name=op.f("ck_attachments_scan")),
        sa.CheckConstraint(
            "num_nonnulls(content, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1",
            name=op.f("ck_attachments_content_or_blob"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_attachments_account_id")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_attachments_message_id")),
        sa.PrimaryKeyConstraint("id", "message_id", name=op.f("pk_attachments")),
        sa.UniqueConstraint("message_id", "position", name=op.f("uq_attachments_message_id_position")),
        postgresql_partition_by="RANGE (message_id)",
    )
    op.create_index(
        "ix_attachments_blob",
        "attachments",
        ["blob_key"],
        postgresql_where=sa.text("blob_key IS NOT NULL"),
    )
    # Ciphertext does not compress: store it out of line as it is.
    op.execute("ALTER TABLE attachments ALTER COLUMN content SET STORAGE EXTERNAL")
    op.execute(_SAME_RIGHTS)
    op.execute("CREATE TABLE attachments_other PARTITION OF attachments DEFAULT")
    op.execute(_FIRST_PARTITION)
