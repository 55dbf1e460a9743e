"""Fields that were reported for the first time, by account and observation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, and_, select

from etl.store import schema

Reported = Mapping[tuple[int, datetime], frozenset[str]]
"""Paths of fields by account and instant of its observation; observations without new fields are left out."""


def first_reported(connection: Connection, accounts: Collection[int] = ()) -> Reported:
    """First reports of all accounts, or of `accounts`. A reader as of an earlier moment selects by the instant."""
    fields, syncs = schema.first_reported, schema.account_syncs
    same = and_(syncs.c.account_id == fields.c.account_id, syncs.c.run_id == fields.c.run_id)
    wanted = select(fields.c.account_id, syncs.c.observed_at, fields.c.path).join(syncs, same)
    if accounts:
        wanted = wanted.where(fields.c.account_id.in_(accounts))
    found: dict[tuple[int, datetime], set[str]] = defaultdict(set)
    for account_id, observed_at, path in connection.execute(wanted):
        found[account_id, observed_at].add(path)
    return {observation: frozenset(paths) for observation, paths in found.items()}
