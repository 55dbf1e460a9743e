"""Sentences of tables, views and columns: one for each, with unit, zone and the meaning of null."""

from __future__ import annotations

import pytest

from etl.domain import tables as declared
from etl.store import schema, views
from etl.store.relations import relations
from etl.store.types import JsonText, UtcDateTime
from etl.store.view_columns import VIEWS

COLUMNS = [(relation, column) for relation in relations() for column in relation.columns]
SENTENCES = {
    **{relation.name: relation.sentence for relation in relations()},
    **{f"{relation.name}.{column.name}": column.meaning.sentence for relation, column in COLUMNS},
}
LONGEST = 260


def test_every_table_and_view_is_there() -> None:
    """All tables of the schema, all views, and the version table; each once."""
    names = [relation.name for relation in relations()]
    assert sorted(names) == sorted([*schema.metadata.tables, *views.NAMES, schema.VERSION_TABLE])
    assert tuple(view.name for view in VIEWS) == views.NAMES


def _is_one_sentence(text: str) -> bool:
    ends = text.endswith(".") and not text.endswith("..") and ". " not in text and not {"\n", "|"} & set(text)
    return text[:1].isupper() and ends and len(text) <= LONGEST


def test_each_has_exactly_one_sentence() -> None:
    """It begins with a capital, ends with its only full stop, and is short."""
    assert [name for name, sentence in SENTENCES.items() if not _is_one_sentence(sentence)] == []


@pytest.mark.parametrize(
    "text", ["", ".", "no capital.", "No stop", "Two. Sentences.", "Two..", "Lines\n.", "A | cell.", "X" * 400 + "."]
)
def test_what_is_no_sentence_is_found(text: str) -> None:
    """A check that finds nothing proves nothing."""
    assert not _is_one_sentence(text)


def test_unit_and_zone_are_said() -> None:
    """A time is in UTC, JSON is called so, and the one column in a local zone says that."""
    for relation, column in COLUMNS:
        text, name = column.meaning.text, f"{relation.name}.{column.name}"
        assert isinstance(column.type, UtcDateTime) == text.startswith("Instant in UTC"), name
        assert not isinstance(column.type, JsonText) or "JSON" in text, name
        assert column.name != "activation_date" or "account's time zone" in text, name


def test_null_is_explained_exactly_where_a_table_allows_it() -> None:
    """The sentence of a nullable column, and of no other, explains null."""
    for table in schema.metadata.tables.values():
        for column in table.columns:
            assert (column.info["meaning"].null is not None) == column.nullable, f"{table.name}.{column.name}"


def test_every_column_of_the_data_names_its_field() -> None:
    """Method and path of the API, for each declared column; the paths are those that drift is reported with."""
    for table in declared.TABLES:
        for column in table.columns:
            method, _, path = str(table.meaning_of(column).field).partition(" ")
            assert method == "get.virtual_numbers"
            assert path.startswith("$.")
    assert declared.SITE_BLOCKS.meaning_of(declared.SITE_BLOCKS.values[0]).field == (
        "get.virtual_numbers $.campaigns[].site_blocks[].site_block_name"
    )


def test_personal_columns_may_be_erased() -> None:
    """Null then has one more meaning, and the sentence says so."""
    for relation, column in COLUMNS:
        assert column.meaning.personal == ("or erased" in (column.meaning.null or "")), f"{relation.name}.{column.name}"
