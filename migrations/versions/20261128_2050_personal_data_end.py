"""What is personal in an order may be erased before its time, when an authorization ended, and audit entries that end after twelve months."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2050"
down_revision = "20261128_2040"


def upgrade() -> None:
    op.add_column("orders", sa.Column("personal_erased_at", postgresql.TIMESTAMP(timezone=True)))
    op.add_column("grants", sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True)))
    # Run with the rights of the tables' owner: whoever may call it ends nothing that is younger, whatever they say.
    op.execute(
        """
        CREATE FUNCTION end_audit_entries(most integer) RETURNS integer
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
            WITH ended AS (
                DELETE FROM public.audit_log WHERE id IN (
                    SELECT id FROM public.audit_log
                    WHERE id < public.uuid_at(now() - interval '12 months') AND at < now() - interval '12 months'
                    ORDER BY id LIMIT least(most, 10000))
                RETURNING 1)
            SELECT count(*)::integer FROM ended
        $$
        """
    )
