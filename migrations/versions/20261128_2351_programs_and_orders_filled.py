"""Who might do it yesterday may do it today: programs go with general.admin, and orders with reading the inbox."""

from migrations import online

revision = "20261128_2351"
down_revision = "20261128_2350"


def upgrade() -> None:
    for table in ("users", "api_keys"):
        online.in_batches(
            table,
            f"UPDATE {table} SET general_programs = general_admin,"  # noqa: S608 - our own names
            " inbox_orders = CASE inbox_messages WHEN 'none' THEN 'none' ELSE 'view' END"
            " WHERE id > :first AND id <= :last",
        )
        for column in ("general_programs", "inbox_orders"):
            online.add_check(table, f"ck_{table}_{column}", f"{column} IN ('none', 'view', 'edit')")
