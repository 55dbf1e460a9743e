"""Oracle: the expected content of the data tables, derived from the API's records without code of the pipeline."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, text

COLUMNS = {
    "virtual_numbers": (
        "virtual_number_id, child_customer_id, virtual_phone_number, redirection_phone_number, activation_date,"
        " status, category, type, comment, name, extra"
    ),
    "campaigns": "campaign_id, campaign_name, site_id, extra",
    "sites": "site_id, site_domain_name",
    "site_blocks": "site_block_id, site_block_name, site_id, extra",
    "scenarios": "scenario_id, scenario_name",
    "virtual_number_campaigns": "virtual_number_id, campaign_id",
    "virtual_number_site_blocks": "virtual_number_id, campaign_id, site_block_id, is_tracking",
    "virtual_number_scenarios": "virtual_number_id, scenario_id, call_processing_rule_id, is_active, extra",
}
"""The columns of the public contract, declared here again on purpose, independent of the program."""

KEYS = {
    "virtual_numbers": 1,
    "campaigns": 1,
    "sites": 1,
    "site_blocks": 1,
    "scenarios": 1,
    "virtual_number_campaigns": 2,
    "virtual_number_site_blocks": 3,
    "virtual_number_scenarios": 3,
}

Tables = dict[str, set[tuple[Any, ...]]]

_KNOWN = {
    "id", "child_customer_id", "virtual_phone_number", "redirection_phone_number", "activation_date", "status",
    "category", "type", "comment", "name", "campaigns", "scenarios",
}  # fmt: skip
_CAMPAIGN = {"campaign_id", "campaign_name", "site_id", "site_domain_name", "site_blocks"}
_BLOCK = {"site_block_id", "site_block_name", "is_tracking"}
_SCENARIO = {"scenario_id", "scenario_name", "call_processing_rule_id", "is_active"}


def _extra(item: dict[str, Any], known: set[str]) -> str | None:
    unknown = {k: v for k, v in item.items() if k not in known}
    return json.dumps(unknown, sort_keys=True) if unknown else None


def expected(records: Iterable[dict[str, Any]]) -> Tables:
    """The eight tables that correspond to these records of one account."""
    out: Tables = {name: set() for name in COLUMNS}
    for r in records:
        n = r["id"]
        scalars = [
            r.get(k)
            for k in ("child_customer_id", "virtual_phone_number", "redirection_phone_number", "activation_date")
        ]
        scalars += [r.get(k) for k in ("status", "category", "type", "comment", "name")]
        out["virtual_numbers"].add((n, *scalars, _extra(r, _KNOWN)))
        for c in r["campaigns"]:
            site = c["site_id"]
            out["campaigns"].add((c["campaign_id"], c["campaign_name"], site, _extra(c, _CAMPAIGN)))
            out["virtual_number_campaigns"].add((n, c["campaign_id"]))
            if site is not None:
                out["sites"].add((site, c["site_domain_name"]))
            for b in c["site_blocks"]:
                out["site_blocks"].add((b["site_block_id"], b["site_block_name"], site, _extra(b, _BLOCK)))
                link = (n, c["campaign_id"], b["site_block_id"], b.get("is_tracking"))
                out["virtual_number_site_blocks"].add(link)
        for s in r["scenarios"]:
            out["scenarios"].add((s["scenario_id"], s["scenario_name"]))
            rule = s.get("call_processing_rule_id") or 0
            row = (n, s["scenario_id"], rule, s.get("is_active"), _extra(s, _SCENARIO))
            out["virtual_number_scenarios"].add(row)
    return out


def _row(row: Iterable[Any], name: str) -> tuple[Any, ...]:
    values = list(row)
    names = COLUMNS[name].split(", ")
    for i, column in enumerate(names):
        if column == "extra" and values[i] is not None:
            value = json.loads(values[i]) if isinstance(values[i], str) else values[i]
            values[i] = json.dumps(value, sort_keys=True)
        elif column.startswith("is_") and values[i] is not None:
            values[i] = bool(values[i])
    return tuple(values)


def current(engine: Engine, account_id: int) -> Tables:
    """The content of an account's current tables."""
    return _read(engine, "select {columns} from {name} where account_id = :a", {"a": account_id})


def as_of(engine: Engine, account_id: int, moment: datetime) -> Tables:
    """The history's state at a moment, by the contract's own condition."""
    when: Any = moment if engine.name == "postgresql" else moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    return _read(
        engine,
        "select {columns} from {name}_history where account_id = :a"
        " and valid_from <= :t and (valid_to is null or valid_to > :t)",
        {"a": account_id, "t": when},
    )


def open_versions(engine: Engine, account_id: int) -> Tables:
    """The versions of the history that are open."""
    return _read(
        engine, "select {columns} from {name}_history where account_id = :a and valid_to is null", {"a": account_id}
    )


def _read(engine: Engine, statement: str, parameters: dict[str, Any]) -> Tables:
    out: Tables = {}
    with engine.connect() as connection:
        for name, columns in COLUMNS.items():
            rows = connection.execute(text(statement.format(columns=columns, name=name)), parameters).all()
            out[name] = {_row(row, name) for row in rows}
            assert len(out[name]) == len(rows), f"{name} holds a row twice"
    return out


def differences(found: Tables, wanted: Tables, most: int = 5) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """Surplus and missing rows, by table; empty when both are equal."""
    out = {}
    for name in COLUMNS:
        if found[name] != wanted[name]:
            more, less = found[name] - wanted[name], wanted[name] - found[name]
            out[name] = {"too many": sorted(more, key=str)[:most], "missing": sorted(less, key=str)[:most]}
    return out


def broken_invariants(engine: Engine) -> list[str]:
    """Breaches of the history's rules: overlap, equal neighbours, empty periods, versions of unknown runs."""
    found = []
    with engine.connect() as connection:
        runs = set(connection.scalars(text("select run_id from sync_runs")))
        for name, keys in KEYS.items():
            columns = COLUMNS[name].split(", ")
            statement = (
                f"select account_id, {COLUMNS[name]}, valid_from, valid_to, opened_run_id, closed_run_id"
                f" from {name}_history order by account_id, {', '.join(columns[:keys])}, valid_from"
            )
            versions: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
            for row in connection.execute(text(statement)):
                versions[tuple(row[: keys + 1])].append(row)
            for key, rows in versions.items():
                found += [f"{name} {key}: {what}" for what in _breaches(rows, keys, len(columns), runs)]
    return found


def _breaches(rows: list[Any], keys: int, width: int, runs: set[int]) -> Iterable[str]:
    for row in rows:
        start, end, opened, closed = row[-4:]
        if end is not None and str(end) <= str(start):
            yield f"empty period from {start}"
        if opened not in runs or (closed is not None and closed not in runs):
            yield "a run that does not exist"
        if (end is None) != (closed is None):
            yield "closed without a run"
    for one, two in pairwise(rows):
        if one[-3] is None or str(one[-3]) > str(two[-4]):
            yield f"versions overlap at {two[-4]}"
        if one[-3] == two[-4] and str(one[keys + 1 : width + 1]) == str(two[keys + 1 : width + 1]):
            yield f"neighbours are equal at {two[-4]}"
    if sum(row[-3] is None for row in rows) > 1:
        yield "two open versions"
