"""What account syncs of a run share: what was asked for, and whom they work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from etl.domain.ports import Clock, Report
from etl.domain.witness import NOBODY, Witness
from etl.extract import ahead
from etl.extract.ahead import Fetcher
from etl.extract.jsonrpc import DataApi
from etl.extract.listing import LIMIT
from etl.lanes import Place
from etl.offload.transformers import Transformers, inline
from etl.store.lending import Lender


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """What a run is asked to do: which accounts (none: all), and how many numbers it may close unasked.

    `page_limit`: the most numbers that one answer is asked to hold; `concurrency`: how many accounts to list at once.
    `bounds`: the ids at which an account's listing is cut, by account; where none are given, what the warehouse
    knows decides. `shortcuts`: what came as before is not read again.
    """

    accounts: frozenset[int] = frozenset()
    approve_close: frozenset[int] = frozenset()
    max_close_share: float = 0.5
    page_limit: int = LIMIT
    concurrency: int = 1
    bounds: Mapping[int, Sequence[int]] = field(default_factory=dict)
    shortcuts: bool = True


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every account sync of a run shares; `api`, `lender` and `place` only those that come one after the other."""

    api: DataApi
    engine: Engine
    lender: Lender
    options: SyncOptions
    clock: Clock
    report: Report
    run_id: int
    witness: Witness = NOBODY
    fetcher: Fetcher = ahead.inline
    transformers: Transformers = inline
    place: Place = field(default_factory=Place)
