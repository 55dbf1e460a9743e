"""Sync context: the options of a run, and the services that its account syncs share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct, field
from sqlalchemy import Engine

from etl.domain.counted import Counted
from etl.domain.events import Notice
from etl.domain.ports import Clock, Report
from etl.domain.recorder import NO_RECORDER, RunRecorder
from etl.domain.shards import Shard
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


class SyncOptions(Struct, frozen=True, kw_only=True):
    """Options of a run. `accounts`: those to sync (empty: all); `approve_close`: those that the guard does not hold.

    `shard`: the part of the accounts to sync; `older_than`: accounts that were observed more recently are left out.
    `page_limit`: the most numbers in one answer; `concurrency`: how many accounts are listed at once. `bounds`: the ids
    at which an account's listing is cut into windows, by account; without them the warehouse's ids decide. `shortcuts`:
    records whose bytes did not change are not decoded. `users`: the user through whom an agent's customer is listed,
    by account, where the settings name one. `viewers`: the viewer of each account as an archive recorded it: then no
    viewer is chosen, users are not compared, and every name and time zone is asked for.
    """

    accounts: frozenset[int] = frozenset()
    shard: Shard | None = None
    older_than: timedelta | None = None
    approve_close: frozenset[int] = frozenset()
    max_close_share: float = 0.5
    page_limit: int = LIMIT
    concurrency: int = 1
    bounds: Mapping[int, Sequence[int]] = field(default_factory=dict)
    shortcuts: bool = True
    users: Mapping[int, int] = field(default_factory=dict)
    viewers: Mapping[int, Viewer] = field(default_factory=dict)

    def chooses(self, account_id: int) -> bool:
        """Whether an account is among those to sync, however fresh its data is."""
        in_shard = self.shard is None or self.shard.has(account_id)
        return in_shard and (not self.accounts or account_id in self.accounts)


class SyncContext(Struct, frozen=True, kw_only=True):
    """Services of a run for its account syncs; `api`, `connection_cache` and `slot` belong to one worker.

    `credential`: the name of the credentials in use; `roster`: the ids of all accounts that they reach; `to_describe`:
    the accounts whose name and time zone are due in this run.
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
        """Report a notice to the operator."""
        self.report(Notice(message=message, account_id=account_id))
