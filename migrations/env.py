"""Runs the migrations over the connection that `migrations.upgrade` hands in, each in a transaction of its own.

The old code is still running when a migration runs, so each one must suit both. An advisory lock lets one process migrate at a time.
"""

from alembic import context
from sqlalchemy import Connection, text

from migrations.comparison import is_not_of_a_partition, is_ours
from shared.tables import Base

# Any constant; every process that migrates takes the same one.
_ADVISORY_LOCK = 7_302_114_365


def _run(connection: Connection) -> None:
    # Asked for again and again: a statement that waited for it would be waited for by the index that the other one is making.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}):
        connection.rollback()
        connection.execute(text("SELECT pg_sleep(0.2)"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=False,
        include_name=is_ours,
        include_object=is_not_of_a_partition,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run(context.config.attributes["connection"])
