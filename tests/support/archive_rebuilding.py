"""Warehouse rebuilt from an archive, and its comparison with the archived one."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, text

from etl.replay.outcome import Replayed
from etl.replay.rebuild import chosen, replay
from tests.support import oracle
from tests.support.rig import Rig

LISTED = "case status when 'succeeded' then listed_numbers end"
SYNCS = f"select run_id, account_id, status, observed_at, {LISTED}, rows_opened, rows_closed, chain_digest"


def rebuilt(rig: Rig, engine: Engine, **more: Any) -> Replayed:
    assert rig.archive is not None
    return replay(chosen(rig.archive, **more), engine, report=rig.events.append)


def syncs(engine: Engine) -> list[tuple[Any, ...]]:
    """The published account syncs, with times as text."""
    with engine.connect() as connection:
        rows = connection.execute(text(f"{SYNCS} from account_syncs order by account_id, started_at, run_id")).all()
    return [(*row[:3], _plain(row[3]), *row[4:]) for row in rows]


def histories(engine: Engine) -> dict[str, list[tuple[str, ...]]]:
    """All versions, with values spelled in the same way for both databases."""
    out = {}
    with engine.connect() as connection:
        for name, columns in oracle.COLUMNS.items():
            statement = f"select account_id, {columns}, valid_from, valid_to, opened_run_id, closed_run_id"
            rows = connection.execute(text(f"{statement} from {name}_history")).all()
            out[name] = sorted(tuple(_plain(value) for value in row) for row in rows)
    return out


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value.startswith("{"):
        return json.dumps(json.loads(value), sort_keys=True)
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d %H:%M:%S.%f"))
    return str(int(value)) if isinstance(value, bool) else str(value)


def same(rig: Rig, engine: Engine) -> None:
    """Check that the rebuilt warehouse equals the original: every version, every published sync, every head."""
    assert histories(engine) == histories(rig.engine)
    assert syncs(engine) == syncs(rig.engine)
    assert oracle.broken_invariants(engine) == []


def days(rig: Rig, count: int, **options: Any) -> None:
    for _ in range(count):
        assert rig.sync(**options).exit_code in (0, 3)
        rig.world.pass_day(share=0.1)
