"""Sources for dbt 1.10 and newer: one source with all tables and views, and what each column means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etl.describe.yaml_text import dumps
from etl.store.described import Relation, RelationColumn

_HEAD = "# Made by `vnsync describe --format dbt`. The schema is the variable vnsync_schema of the project.\n"


def dbt(relations: Sequence[Relation], name: str) -> str:
    """The YAML of a source. `name`: how models call it: `source('vnsync', 'virtual_numbers')`."""
    source = {
        "name": name,
        "description": "Virtual numbers of CallGear, UIS, CoMagic or Novofon accounts with their whole history.",
        "schema": "{{ var('vnsync_schema', 'public') }}",
        "tables": [_table(each) for each in relations],
    }
    return _HEAD + dumps({"version": 2, "sources": [source]})


def _table(relation: Relation) -> dict[str, Any]:
    return {
        "name": relation.name,
        "description": relation.sentence,
        "config": {"meta": {"kind": relation.kind.value}},
        "columns": [_column(column) for column in relation.columns],
    }


def _column(column: RelationColumn) -> dict[str, Any]:
    meaning = column.meaning
    meta: dict[str, Any] = {} if meaning.field is None else {"api_field": meaning.field}
    meta |= {"personal": True} if meaning.personal else {}
    described = {"name": column.name, "description": meaning.sentence}
    return described | ({"config": {"meta": meta}} if meta else {})
