"""What account syncs of a run share: what was asked for, and whom they work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from etl.domain.counted import Counted
from etl.domain.events import Notice
from etl.domain.ports import Clock, Report
from etl.domain.recorder import NO_RECORDER, RunRecorder
from etl.domain.viewer import Viewer
from etl.extract import prefetch
from etl.extract.jsonrpc import DataApi
from etl.extract.listing import LIMIT
from etl.extract.prefetch import Fetcher
from etl.extract.proof import ListLength
from etl.store.connections import ConnectionCache
from etl.store.installations import Installation
from etl.sync.concurrency import Slot
from etl.workers.transformers import Transformers, inline


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """What a run is asked to do: which accounts (none: all), and how many numbers it may close unasked.

    `page_limit`: the most numbers that one answer is asked to hold; `concurrency`: how many accounts to list at once.
    `bounds`: the ids at which an account's listing is cut, by account; where none are given, what the warehouse
    knows decides. `shortcuts`: what came as before is not read again. `users`: the user through whom an agent's
    customer is listed, by account, where the settings name one. `viewers`: the viewer of each account as an archive
    recorded it: then none is chosen, users are not compared, and every name and time zone is asked for.
    """

    accounts: frozenset[int] = frozenset()
    approve_close: frozenset[int] = frozenset()
    max_close_share: float = 0.5
    page_limit: int = LIMIT
    concurrency: int = 1
    bounds: Mapping[int, Sequence[int]] = field(default_factory=dict)
    shortcuts: bool = True
    users: Mapping[int, int] = field(default_factory=dict)
    viewers: Mapping[int, Viewer] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SyncContext:
    """What the account syncs of a run share; `api`, `connection_cache` and `slot` are shared within one worker only.

    `credential`: the name of the credentials in use; `roster`: the ids of all accounts that they reach; `to_describe`:
    the accounts whose name and time zone are asked for in this run.
    """

    api: DataApi
    engine: Engine
    connection_cache: ConnectionCache
    installation: Installation
    options: SyncOptions
    clock: Clock
    report: Report
    run_id: int
    recorder: RunRecorder = NO_RECORDER
    fetcher: Fetcher = prefetch.inline
    transformers: Transformers = inline
    slot: Slot = field(default_factory=Slot)
    credential: str | None = None
    roster: frozenset[int] = frozenset()
    to_describe: frozenset[int] = frozenset()
    undescribed: Counted = field(default_factory=Counted)
    list_length: ListLength = field(default_factory=ListLength)

    def notice(self, message: str, account_id: int | None = None) -> None:
        """Tell the operator something that no row of a table says."""
        self.report(Notice(message=message, account_id=account_id))
