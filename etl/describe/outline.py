"""Everything that is declared about tables and views, as one JSON object: the format `json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import etl
from etl.describe.types import type_names
from etl.store.described import Relation, RelationColumn


def outline(relations: Sequence[Relation]) -> str:
    """The relations as JSON text, with all parts of each sentence."""
    described = {"vnsync_version": etl.__version__, "relations": [_relation(each) for each in relations]}
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _relation(relation: Relation) -> dict[str, Any]:
    return {
        "name": relation.name,
        "kind": relation.kind.value,
        "is_view": relation.is_view,
        "description": relation.sentence,
        "primary_key": [column.name for column in relation.columns if column.key],
        "columns": [_column(column) for column in relation.columns],
        "references": [
            {"columns": list(link.columns), "table": link.table, "referred_columns": list(link.referred)}
            for link in relation.links
        ],
    }


def _column(column: RelationColumn) -> dict[str, Any]:
    meaning = column.meaning
    return {
        "name": column.name,
        "description": meaning.sentence,
        "meaning": meaning.text,
        "null": meaning.null,
        "api_field": meaning.field,
        "personal": meaning.personal,
        "type": type_names(column.type),
    }
