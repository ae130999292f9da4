"""The list of sealed columns is complete, and says of each what the code says that seals it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from shared.tables import Base, SealedColumn
from shared.tables.sealed import sealed_tables

ROOT = Path(__file__).parents[3]
# Sealed with the content key of its mail, which is itself sealed to the mail worker, and on the message with the data key.
WITH_A_CONTENT_KEY = {("accepted_mail", "envelope"), ("accepted_mail", "raw")}
# Copies of what is sealed for another row.
COPIES = {
    ("conversations", "snippet"): ("messages", "snippet", "snippet_message_id"),
    ("conversation_merges", "target_buyer_name"): ("conversations", "buyer_name", "target_id"),
    ("conversation_merges", "target_buyer_address"): ("conversations", "buyer_address", "target_id"),
}


def places_in_code() -> Iterator[tuple[str, str]]:
    """Table and column of each `Place("table", "column", …)` of the services."""
    for path in (ROOT / "services").rglob("*.py"):
        source = path.read_text("utf-8")
        # To parse all files takes a second.
        if "Place(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "Place"):
                continue
            names = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
            if len(names) == 2:
                yield str(names[0]), str(names[1])


def test_every_sealed_column_is_in_the_list():
    sealed = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, SealedColumn)
    }
    listed = {(table.name, place.column) for table in sealed_tables() for place in table.places}

    assert sealed - listed == WITH_A_CONTENT_KEY
    assert listed <= sealed


def test_what_the_code_seals_for_a_place_is_found_there():
    listed = {(place.table, place.place_column) for table in sealed_tables() for place in table.places}
    in_code = set(places_in_code())

    assert len(in_code) > 20
    assert in_code <= listed


def test_only_known_copies_are_sealed_for_another_row():
    elsewhere = {
        (table.name, place.column): (place.table, place.place_column, place.row_id)
        for table in sealed_tables()
        for place in table.places
        if (table.name, place.column) != (place.table, place.place_column)
    }

    assert elsewhere == COPIES


def test_every_table_of_the_list_says_whose_its_rows_are_and_may_have_a_blob_only_for_its_content():
    for table in sealed_tables():
        columns = Base.metadata.tables[table.name].columns
        assert "account_id" in columns
        assert {place.row_id for place in table.places} <= set(columns.keys())
        assert (table.blob is not None) == ("blob_key" in columns)
