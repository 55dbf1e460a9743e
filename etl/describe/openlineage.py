"""Facets of OpenLineage for each table and view: its documentation and its schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import etl
from etl.describe.types import type_names
from etl.store.described import Relation

PRODUCER = f"urn:vnsync:{etl.__version__}"
_FACETS = "https://openlineage.io/spec/facets"
_DOCUMENTATION = f"{_FACETS}/1-1-0/DocumentationDatasetFacet.json#/$defs/DocumentationDatasetFacet"
_SCHEMA = f"{_FACETS}/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"


def openlineage(relations: Sequence[Relation], name: str) -> str:
    """A JSON array of datasets. `name`: their namespace."""
    return json.dumps([dataset(each, name) for each in relations], indent=2, ensure_ascii=False) + "\n"


def dataset(relation: Relation, namespace: str) -> dict[str, Any]:
    """One dataset with both facets; types are those of PostgreSQL."""
    fields = [
        {
            "name": column.name,
            "type": type_names(column.type)["postgresql"],
            "description": column.meaning.sentence,
            "ordinal_position": place,
        }
        for place, column in enumerate(relation.columns, start=1)
    ]
    return {
        "namespace": namespace,
        "name": relation.name,
        "facets": {
            "documentation": {
                "_producer": PRODUCER,
                "_schemaURL": _DOCUMENTATION,
                "description": relation.sentence,
                "contentType": "text/plain",
            },
            "schema": {"_producer": PRODUCER, "_schemaURL": _SCHEMA, "fields": fields},
        },
    }
