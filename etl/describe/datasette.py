"""Metadata for Datasette: descriptions, facets, labels, queries with names, and which tables are hidden."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from etl.describe.datasette_queries import QUERIES
from etl.store.described import Relation, RelationKind

_SHOWN = {"sync_runs", "account_syncs", "quarantine", "source_drift", "erasures"}
"""Service tables that people read; the others, and ended versions, which the history views contain, are hidden."""
_FACETS = {
    "virtual_numbers": ["status", "category", "type"],
    "virtual_numbers_history": ["status", "category", "type"],
    "number_assignments": ["account_name", "campaign_name", "status"],
    "number_campaign_periods": ["campaign_name", "site_domain_name"],
    "changes": ["entity", "change"],
    "sync_runs": ["status"],
    "account_syncs": ["status"],
    "quarantine": ["reason"],
    "source_drift": ["kind"],
}
_LABELS = {
    "accounts": "account_name",
    "virtual_numbers": "virtual_phone_number",
    "campaigns": "campaign_name",
    "sites": "site_domain_name",
    "site_blocks": "site_block_name",
    "scenarios": "scenario_name",
    "sync_runs": "started_at",
}
"""Column that a link to a row shows."""
_NEWEST_FIRST = {
    "changes": "observed_at",
    "sync_runs": "run_id",
    "account_syncs": "run_id",
    "quarantine": "quarantine_id",
}


def datasette(relations: Sequence[Relation], name: str) -> str:
    """The metadata as JSON. `name`: Datasette's name of the database, which is that of its file without `.db`."""
    database = {
        "description": "Virtual numbers with their whole history, as vnsync keeps them.",
        "tables": {relation.name: _table(relation) for relation in relations},
        "queries": QUERIES,
    }
    return json.dumps({"title": "vnsync", "databases": {name: database}}, indent=2, ensure_ascii=False) + "\n"


def _table(relation: Relation) -> dict[str, Any]:
    name = relation.name
    is_hidden = relation.kind is RelationKind.CLOSED or (relation.kind is RelationKind.SERVICE and name not in _SHOWN)
    described: dict[str, Any] = {
        "description": relation.sentence,
        "columns": {column.name: column.meaning.sentence for column in relation.columns},
    }
    described |= {"hidden": True} if is_hidden else {}
    described |= {"facets": _FACETS[name]} if name in _FACETS else {}
    described |= {"label_column": _LABELS[name]} if name in _LABELS else {}
    return described | ({"sort_desc": _NEWEST_FIRST[name]} if name in _NEWEST_FIRST else {})
