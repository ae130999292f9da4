"""An account may be closed and erased, and says how its people are addressed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0050"
down_revision = "20261129_0040"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("form_of_address", sa.Text(), server_default="du", nullable=False))
    for name in ("closed_at", "erase_after", "erased_at"):
        op.add_column("accounts", sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.create_table(
        "spent_addresses",
        sa.Column("local_part", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("local_part", name="pk_spent_addresses"),
    )
    # Run with the rights of the tables' owner: whoever may call it ends no address of an account that is open, and gives none back.
    op.execute(
        """
        CREATE FUNCTION end_addresses(account uuid, most integer) RETURNS integer
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
            WITH ended AS (
                DELETE FROM public.relay_addresses WHERE id IN (
                    SELECT address.id FROM public.relay_addresses address JOIN public.accounts ON accounts.id = address.account_id
                    WHERE address.account_id = account AND address.retired_at IS NOT NULL AND accounts.closed_at IS NOT NULL
                    LIMIT least(most, 10000))
                RETURNING local_part),
            spent AS (
                INSERT INTO public.spent_addresses SELECT local_part FROM ended ON CONFLICT DO NOTHING)
            SELECT count(*)::integer FROM ended
        $$
        """
    )
