"""Runs the migrations over the connection that `migrations.upgrade` hands in.

The old code is still running when a migration runs, so each one must suit both. Time-outs bound how long it may wait for
a lock (4 s) and run (5 s); an advisory lock lets one process migrate at a time.
"""

from alembic import context
from sqlalchemy import Connection, text

from migrations.comparison import is_not_of_a_partition, is_ours
from shared.tables import Base

# Any constant; every process that migrates takes the same one.
_ADVISORY_LOCK = 7_302_114_365


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=False,
        include_name=is_ours,
        include_object=is_not_of_a_partition,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '4s'"))
        connection.execute(text("SET LOCAL statement_timeout = '5s'"))
        context.run_migrations()


_run(context.config.attributes["connection"])
