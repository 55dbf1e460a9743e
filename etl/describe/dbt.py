"""Sources for dbt 1.10 and newer: one source with all tables and views, and what each column means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etl.describe.yaml_text import dumps
from etl.domain.tables import BY_NAME
from etl.store.described import Relation, RelationColumn, RelationKind

_HEAD = "# Made by `vnsync describe --format dbt`. The schema is the variable vnsync_schema of the project.\n"
_OLDEST = """\
select min(seen_at) from (
  select account_id, coalesce(max(case when status = 'succeeded' then observed_at end), min(started_at)) as seen_at
  from {{ this }} as s
  where not exists (
    select 1 from {{ this }} as u where u.account_id = s.account_id and u.status = 'unreachable'
      and not exists (select 1 from {{ this }} as l where l.account_id = u.account_id and l.run_id > u.run_id)
  )
  group by account_id
) as accounts"""
"""The account that was observed longest ago, without customers out of reach: the newest row would hide it."""
FRESHNESS: dict[str, Any] = {
    "loaded_at_query": _OLDEST,
    "freshness": {
        name: {"count": f"{{{{ var('vnsync_{name}', {hours}) | int }}}}", "period": "hour"}
        for name, hours in (("warn_after", 26), ("error_after", 50))
    },
}


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
    freshness = FRESHNESS if relation.name == "account_syncs" else {}
    return {
        "name": relation.name,
        "description": relation.sentence,
        "config": {"meta": {"kind": relation.kind.value} | _declared(relation), **freshness},
        "columns": [_column(column) for column in relation.columns],
    }


def _declared(relation: Relation) -> dict[str, Any]:
    """Key and references, for the tests of the package in `dbt/`."""
    key = [column.name for column in relation.columns if column.key]
    if relation.kind is RelationKind.HISTORY:
        key = ["account_id", *BY_NAME[relation.name.removesuffix("_history")].key_names, "valid_from"]
    links = [
        {"columns": list(link.columns), "table": link.table, "referred": list(link.referred)} for link in relation.links
    ]
    return ({"key": key} if key else {}) | ({"references": links} if links else {})


def _column(column: RelationColumn) -> dict[str, Any]:
    meaning = column.meaning
    meta: dict[str, Any] = {} if meaning.field is None else {"api_field": meaning.field}
    meta |= {"personal": True} if meaning.personal else {}
    described = {"name": column.name, "description": meaning.sentence}
    return described | ({"config": {"meta": meta}} if meta else {})
