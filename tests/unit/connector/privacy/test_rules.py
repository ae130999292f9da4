"""Every column of a customer's has a rule: what it is, from where, how long it is kept; and what is personal is sealed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ARRAY, BigInteger, Column, LargeBinary, MetaData, Table, Text

from services.connector.privacy.rules import (
    ColumnRule,
    Kind,
    Origin,
    Rules,
    TableRule,
    load_rules,
    rules_page,
)
from shared.tables import Base, SealedColumn

RULES = load_rules()
PAGE = Path(__file__).parents[4] / "docs" / "privacy.md"
# Named as if somebody's data were in them.
HARMLESS = {
    ("accounts", "form_of_address"),
    ("accepted_mail", "peer_address"),
    ("attachments", "message_id"),
    ("accepted_mail", "relay_address_id"),
    ("message_digests", "relay_address_id"),
    ("conversations", "snippet_message_id"),
    ("jobs", "subject_id"),
    ("audit_log", "subject_id"),
    ("read_log", "subject_id"),
    ("orders", "is_gift"),
    ("order_items", "gift_wrap"),
}
TELLING = (
    "buyer",
    "recipient",
    "address",
    "phone",
    "email",
    "mail_from",
    "body",
    "subject",
    "snippet",
    "gift",
    "street",
    "first_name",
)


def broken(rules: Rules, metadata: MetaData) -> Iterator[str]:
    """What is wrong with the rules for these tables, in words."""
    tables = metadata.tables
    for name in sorted(tables.keys() - rules.tables.keys() - rules.of_nobody.keys()):
        yield f"{name}: no rule"
    for name in sorted((rules.tables.keys() | rules.of_nobody.keys()) - tables.keys()):
        yield f"{name}: a rule, and no table"
    for name in sorted(rules.of_nobody.keys() & tables.keys()):
        if "account_id" in tables[name].columns:
            yield f"{name}: belongs to an account"
    for name, rule in rules.tables.items():
        if name in tables:
            yield from (f"{name}.{wrong}" for wrong in _broken_columns(rules, rule, tables[name]))


def _broken_columns(rules: Rules, rule: TableRule, table: Table) -> Iterator[str]:
    stored = {column.name: column for column in table.columns}
    for end in {rule.ends, rule.personal_ends} - rules.ends.keys():
        yield f"*: ends by {end}, which is no rule"
    for name in sorted(stored.keys() - rule.columns.keys() - rules.common.keys()):
        yield f"{name}: no rule"
    for name in sorted(rule.columns.keys() - stored.keys()):
        yield f"{name}: a rule, and no column"
    for name, column in stored.items():
        known = rule.columns.get(name) or ColumnRule(Kind.PLAIN, rules.common.get(name, ""))
        if not _is_kept_as(known.kind, column):
            yield f"{name}: {known.kind}, and stored as {column.type}"
        if (
            known.kind is Kind.PLAIN
            and any(word in name for word in TELLING)
            and (table.name, name) not in HARMLESS
        ):
            yield f"{name}: plain, and named as if it were personal"


def _is_kept_as(kind: Kind, column: "Column[object]") -> bool:
    is_sealed = isinstance(column.type, SealedColumn)
    is_bytes = isinstance(column.type, LargeBinary)
    is_array_of_hashes = isinstance(column.type, ARRAY) and isinstance(
        column.type.item_type, LargeBinary | BigInteger
    )
    match kind:
        case Kind.PERSONAL:  # what is in the blob store is sealed as well; its key is a day and an id
            return is_sealed or column.name == "blob_key"
        case Kind.HASHED:
            return is_bytes or is_array_of_hashes
        case Kind.SECRET:
            return is_sealed or is_bytes or column.name == "password_hash"
        case _:
            return not (is_sealed or is_bytes or is_array_of_hashes)


def test_every_column_has_a_rule_and_every_rule_a_column():
    assert list(broken(RULES, Base.metadata)) == []


@pytest.mark.parametrize(
    ("column", "kind", "words"),
    [
        (Column("extra", Text), None, "orders.extra: no rule"),
        (Column("extra", Text), Kind.PERSONAL, "orders.extra: personal, and stored as TEXT"),
        (Column("extra", SealedColumn), Kind.PLAIN, "orders.extra: plain, and stored as BLOB"),
        (
            Column("buyer_town", Text),
            Kind.PLAIN,
            "orders.buyer_town: plain, and named as if it were personal",
        ),
        (None, Kind.PLAIN, "orders.extra: a rule, and no column"),
    ],
)
def test_a_column_without_its_rule_is_found(column: "Column[object] | None", kind: Kind | None, words: str):
    name = "extra" if column is None else column.name
    columns = {} if kind is None else {name: ColumnRule(kind, "x")}
    table = TableRule("orders", Origin.SP_API, "orders", "orders", columns)
    metadata = MetaData()
    Table("orders", metadata, Column("id", Text), *([] if column is None else [column]))

    rules = Rules(RULES.ends, RULES.common, {"orders": table}, {})

    assert list(broken(rules, metadata)) == [words]


def test_what_is_personal_and_came_from_the_sp_api_ends_after_delivery():
    for name, table in RULES.tables.items():
        kinds = {column.kind for column in table.columns.values()}
        if table.origin is Origin.SP_API and Kind.PERSONAL in kinds:
            assert table.personal_ends == "order_personal", name


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == rules_page(RULES), "run `make api-docs`"
