"""A row refers to rows of its own account only: each reference inside an account names the account, too.

Everything is online: an index made CONCURRENTLY for each table that is referred to, then the new reference beside the old one, proven while
both tables are written, and then the old one goes.
"""

from migrations import online

revision = "20261128_1415"
down_revision = "20261128_1411"

_REFERRED = ("users", "api_keys", "integrations", "relay_addresses", "webhooks", "conversations", "messages")
# Table, column, the table that it refers to.
_REFERENCES = (
    ("sessions", "user_id", "users"),
    ("known_browsers", "user_id", "users"),
    ("api_keys", "created_by", "users"),
    ("integrations", "owner_id", "users"),
    ("authorization_attempts", "user_id", "users"),
    ("authorization_attempts", "integration_id", "integrations"),
    ("authorization_attempts", "reconnects", "integrations"),
    ("grants", "integration_id", "integrations"),
    ("forwarded_mailboxes", "integration_id", "integrations"),
    ("forwarded_mailboxes", "confirmed_by", "users"),
    ("marketplace_participations", "integration_id", "integrations"),
    ("setup_steps", "integration_id", "integrations"),
    ("setup_steps", "done_by", "users"),
    ("smtp_configurations", "integration_id", "integrations"),
    ("notices", "user_id", "users"),
    ("notices", "integration_id", "integrations"),
    ("relay_addresses", "integration_id", "integrations"),
    ("webhooks", "created_by", "users"),
    ("webhooks", "created_by_key", "api_keys"),
    ("webhook_deliveries", "webhook_id", "webhooks"),
    ("accepted_mail", "relay_address_id", "relay_addresses"),
    ("message_digests", "relay_address_id", "relay_addresses"),
    ("conversations", "integration_id", "integrations"),
    ("conversations", "merged_into", "conversations"),
    ("conversation_threads", "integration_id", "integrations"),
    ("conversation_threads", "conversation_id", "conversations"),
    ("conversation_orders", "conversation_id", "conversations"),
    ("messages", "integration_id", "integrations"),
    ("messages", "conversation_id", "conversations"),
    ("attachments", "message_id", "messages"),
)
_OPTIONS = {
    ("webhook_deliveries", "webhook_id"): "ON DELETE CASCADE",
    ("conversation_threads", "conversation_id"): "DEFERRABLE INITIALLY DEFERRED",
}
_OLD_NAMES = {
    ("webhooks", "created_by_key"): "fk_webhooks_created_by_key_api_keys",
    ("forwarded_mailboxes", "integration_id"): "fk_forwarded_mailboxes_integration_id_integrations",
    ("forwarded_mailboxes", "confirmed_by"): "fk_forwarded_mailboxes_confirmed_by_users",
}


def upgrade() -> None:
    for table in _REFERRED:
        online.create_index(f"uq_{table}_id_account_id", table, "id, account_id", is_unique=True)
    for table, column, referred in _REFERENCES:
        online.add_foreign_key(
            table,
            f"fk_{table}_{column}_account_id",
            f"{column}, account_id",
            referred,
            referred_columns="id, account_id",
            options=_OPTIONS.get((table, column), ""),
        )
        online.drop_constraint(table, _OLD_NAMES.get((table, column), f"fk_{table}_{column}"))
