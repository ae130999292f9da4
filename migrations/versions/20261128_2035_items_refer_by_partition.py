"""Items and packages refer to their order partition by partition: PostgreSQL looked for the order of each in all sixteen."""

from migrations import online

revision = "20261128_2035"
down_revision = "20261128_2010"

_PARTITIONS = 16


def upgrade() -> None:
    for table in ("order_items", "order_packages"):
        name = f"fk_{table}_order_row_id_account_id"
        online.drop_constraint(table, name)
        for number in range(_PARTITIONS):
            # Both tables are cut by the same hash of the account.
            online.add_foreign_key(
                f"{table}_h{number:02}",
                name,
                "order_row_id, account_id",
                f"orders_h{number:02}",
                referred_columns="id, account_id",
                options="ON DELETE CASCADE",
            )
