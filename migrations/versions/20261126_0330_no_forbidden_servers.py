"""An SMTP server that may not be asked was always told as one that DNS does not know; there is no other result for it."""

from alembic import op

revision = "20261126_0330"
down_revision = "20261126_0320"

_NAME = "ck_smtp_configurations_check_result"


def upgrade() -> None:
    op.drop_constraint(op.f(_NAME), "smtp_configurations", type_="check")
    op.create_check_constraint(
        op.f(_NAME),
        "smtp_configurations",
        "check_result IN ('ok', 'dns', 'connect', 'tls', 'auth', 'rejected', 'timeout')",
    )
