"""Check of the hash chain (the rest of I10): the stand-alone script for third parties computes every digest again."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from tests.simulation.dump import Reader
from tests.support.checkout import ROOT

SCRIPT = ROOT / "docs" / "verify_chain.py"


@cache
def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_chain", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def broken(reader: Reader) -> Iterator[str]:
    """Links that differ from what their syncs wrote, and versions that belong to no sync."""
    for (account_id,) in reader.rows("select distinct account_id from account_syncs order by 1"):
        links, unsealed = _script().chain(reader.connection, account_id)
        for run_id, moment, computed, sealed in links:
            if computed != sealed:
                yield f"I10: account sync {(run_id, account_id)} of {moment} is sealed as {sealed}, not {computed}"
        for moment in unsealed:
            yield f"I10: account {account_id} has versions of {moment}, of which no sync tells"
