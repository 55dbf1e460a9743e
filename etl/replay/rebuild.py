"""Rebuilding of a warehouse from an archive: each run goes through the pipeline again, and mismatches are recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Engine, func, select

from etl.archive.checking import refuse_damaged
from etl.archive.layout import Layout, existing
from etl.archive.lines import Publishes, Response
from etl.archive.manifest import Manifest, Scan, confirmed, read_manifest
from etl.archive.responses import Responses
from etl.domain.ports import Report
from etl.domain.runs import AccountResult
from etl.errors import OtherInstallation, Usage
from etl.extract.credentials import Login
from etl.extract.jsonrpc import open_api
from etl.replay.answers import SESSION, ArchivedSource
from etl.replay.branches import undone
from etl.replay.outcome import Episode, Replayed, differ
from etl.replay.time import ArchivedClock, ArchivedRandom, moment_of
from etl.store import installations, schema
from etl.store.engine import database_errors
from etl.store.installations import Binding
from etl.sync.context import SyncOptions
from etl.sync.run import sync
from etl.workers.transformers import Transformers, inline


def episodes(layout: Layout, runs: Collection[int] = (), until: datetime | None = None) -> list[Episode]:
    """Requested runs of the archive in order: `runs` (empty: all) that began not later than `until`.

    Raises `Usage` when one of `runs` is not in the archive.
    """
    pruned = set(layout.pruned_ids())
    available = [run_id for run_id in layout.run_ids() if run_id not in pruned]
    unknown = set(runs) - set(available)
    if unknown:
        raise Usage(f"the archive {layout.folder} holds no run {min(unknown)}", remedy="Omit --run to replay all runs")
    manifests = sorted((read_manifest(layout, i, responses=False) for i in available), key=_first_observation)
    erased = _erased(layout, available)
    found = [Episode(m, p, erased[m.run.run_id]) for m, p in zip(manifests, confirmed(manifests), strict=True)]
    wanted = [e for e in found if not runs or e.run_id in runs]
    return [e for e in wanted if until is None or e.manifest.run.started_at <= until]


def _erased(layout: Layout, run_ids: Sequence[int]) -> dict[int, frozenset[int | None]]:
    """By run: accounts from whose responses personal content was erased."""
    responses = Responses(layout)
    if not responses.erased:
        return dict.fromkeys(run_ids, frozenset())
    return {
        run_id: frozenset(
            line.account_id
            for line in Scan(layout, run_id)
            if isinstance(line, Response) and responses.is_erased_from(line)
        )
        for run_id in run_ids
    }


def _first_observation(manifest: Manifest) -> datetime:
    """Time of a run's first observation. These times increase for each account, even if the clock was set back."""
    return min((a.observed_at for a in manifest.attempts.values()), default=manifest.run.started_at)


def _goes_back(episode: Episode, bound: Binding) -> bool:
    """Whether a run read another installation before the warehouse was bound to its current one."""
    return episode.origin != bound.origin and _first_observation(episode.manifest) < bound.bound_at


class Selection(Struct, frozen=True):
    """Runs to replay, of an archive that was checked; `origins`: all installations that the archive published from."""

    layout: Layout
    episodes: Sequence[Episode]
    origins: frozenset[str]


def chosen(folder: Path, *, runs: Collection[int] = (), until: datetime | None = None) -> Selection:
    """Check the archive, and select the requested runs; this needs no warehouse.

    Raises `Usage` when there is nothing to replay, `IntegrityBroken` when the archive is damaged.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    found = episodes(layout, runs, until)
    if not found:
        first = min((e.manifest.run.started_at for e in episodes(layout, runs)), default=None)
        reason = "it has no run" if first is None else f"the first requested run began at {first:%Y-%m-%d %H:%M:%S} UTC"
        raise Usage(f"there is nothing to replay in {folder}: {reason}", remedy="Name another archive, or a later --to")
    every = episodes(layout) if runs or until else found
    return Selection(layout, found, frozenset(e.origin for e in every if e.published))


def replay(asked: Selection, engine: Engine, *, report: Report, transformers: Transformers = inline) -> Replayed:
    """Rebuild the accounts in a warehouse that has none of them, or whose state is one that the archive continues.

    `transformers`: as in `sync`. Raises `Usage` when the warehouse has another state. Mismatches with the archive are
    in the result.
    """
    replaying = _Replay(asked.layout, engine, report, transformers)
    replaying.refuse_other_states(asked.episodes)
    replaying.refuse_other_installations(asked)
    replaying.look_ahead(asked.episodes)
    for episode in asked.episodes:
        replaying.run(episode)
    return replaying.done


class _Replay:
    """State of a replay: the last observation of each account in the warehouse, and the result so far."""

    def __init__(self, layout: Layout, engine: Engine, report: Report, transformers: Transformers) -> None:
        self._layout, self._responses, self._engine, self._report = layout, Responses(layout), engine, report
        self._transformers = transformers
        self._heads = dict(self._last_observations())
        self._archived: set[tuple[int, datetime | None]] = set()
        self.done = Replayed()

    def look_ahead(self, wanted: Sequence[Episode]) -> None:
        """Collect the observations that the archive has, and the runs that a restored backup undid."""
        self._archived = {(i, p.observed_at) for e in wanted for i, p in e.published.items()}
        self.done.whole, self.done.undone = [e.run_id for e in wanted], undone(wanted)

    def _last_observations(self) -> Iterator[tuple[int, datetime]]:
        """Last observation of each account in the warehouse."""
        syncs = schema.account_syncs
        last = select(syncs.c.account_id, func.max(syncs.c.observed_at)).group_by(syncs.c.account_id)
        with database_errors(), self._engine.connect() as connection:
            yield from ((a, t) for a, t in connection.execute(last) if t is not None)

    def refuse_other_states(self, wanted: Sequence[Episode]) -> None:
        """Raise `Usage` for a state that the archive does not continue: the result would be a false history."""
        for account_id, head in self._heads.items():
            archived = [e.published[account_id] for e in wanted if account_id in e.published]
            known = {p.observed_at for p in archived} | {p.previous for p in archived}
            if archived and head not in known:
                raise Usage(
                    f"the warehouse has account {account_id} as of {head:%Y-%m-%d %H:%M:%S} UTC, "
                    "and the archive does not continue from there",
                    remedy="Replay into an empty database, or into a backup of a time that the archive covers",
                )

    def refuse_other_installations(self, asked: Selection) -> None:
        """Raise `OtherInstallation` if the archive lacks the warehouse's installation or continues an earlier one."""
        bound = self._bound()
        new = [e for e in asked.episodes if any(map(self._is_new, e.published.values()))]
        if bound is None or not new or (bound.origin in asked.origins and not _goes_back(new[0], bound)):
            return
        raise OtherInstallation(
            f"the warehouse holds accounts of {bound.origin}, and the archive continues with those of {new[0].origin}",
            remedy="Replay into an empty database, or into a backup of a time that the archive covers",
        )

    def _bound(self) -> Binding | None:
        with database_errors(), self._engine.connect() as connection:
            return installations.in_force(connection)

    def _is_elsewhere(self, episode: Episode) -> bool:
        bound = self._bound()
        return bound is not None and bound.origin != episode.origin

    def _rebind(self, episode: Episode) -> None:
        """Bind the warehouse to the run's installation, as the archived warehouse was before this run."""
        if self._is_elsewhere(episode):
            installations.rebind(self._engine, episode.origin, now=_first_observation(episode.manifest))

    def run(self, episode: Episode) -> None:
        """Replay one run: published accounts are published again; accounts that failed or were held fail again."""
        rest = {i: p for i, p in episode.published.items() if self._is_new(p)}
        for account_id in episode.published.keys() - rest.keys():
            self._compare_existing(episode, episode.published[account_id])
        unpublished = episode.manifest.outcomes.keys() - episode.published.keys()
        tried = rest.keys() | (unpublished & episode.manifest.roster.keys())  # others were unreachable: nothing to try
        if not tried or (not rest and (self._has_run(episode.run_id) or self._is_elsewhere(episode))):
            self.done.skipped.append(episode.run_id)
            return
        for published in rest.values():
            self._check_previous(episode, published)
        if rest:
            self._rebind(episode)
        results = self._through_the_pipeline(episode, frozenset(tried))
        self.done.runs += 1
        for account_id in sorted(tried):
            result = results.get(account_id)
            self.done.add_result(episode, account_id, result)
            if result and result.observed_at:
                self._heads[account_id] = result.observed_at

    def _is_new(self, published: Publishes) -> bool:
        head = self._heads.get(published.account_id)
        return head is None or published.observed_at > head

    def _has_run(self, run_id: int) -> bool:
        rows = schema.sync_runs
        with database_errors(), self._engine.connect() as connection:
            return connection.execute(select(rows.c.run_id).where(rows.c.run_id == run_id)).first() is not None

    def _through_the_pipeline(self, episode: Episode, tried: frozenset[int]) -> dict[int, AccountResult]:
        run = episode.manifest.run
        clock = ArchivedClock(moment_of(run.run_id, run.started_at))
        manifest = read_manifest(self._layout, run.run_id)
        source = ArchivedSource(manifest, episode.published, self._responses, clock)
        random = ArchivedRandom(run.run_id)
        options = SyncOptions(
            accounts=tried,
            approve_close=frozenset(run.approve_close),
            max_close_share=run.max_close_share,
            page_limit=run.page_limit,
            bounds=episode.manifest.bounds,
            shortcuts=False,
            viewers=episode.viewers,
        )
        key, retries, report = Login("replay", SESSION), ArchivedRandom(0), self._report
        with open_api(run.source_url, key, clock=clock, random=retries, report=report, transport=source) as api:
            result = sync(
                api,
                self._engine,
                options=options,
                clock=clock,
                random=random,
                report=report,
                transformers=self._transformers,
            )
        return {a.account_id: a for a in result.accounts}

    def _check_previous(self, episode: Episode, published: Publishes) -> None:
        head = self._heads.get(published.account_id)
        if head != published.previous:
            reason = "the observation that it follows is not in the archive"
            if (published.account_id, published.previous) in self._archived:
                reason = "it continues from an earlier observation, because a backup was restored before it"
            self.done.add_mismatch(episode, published, reason, published.previous, head)

    def _compare_existing(self, episode: Episode, published: Publishes) -> None:
        """Compare a publication that the warehouse already has; it is not written again."""
        account, syncs = self.done.account(published.account_id), schema.account_syncs
        same = (syncs.c.account_id == published.account_id, syncs.c.observed_at == published.observed_at)
        with database_errors(), self._engine.connect() as connection:
            digest = connection.execute(select(syncs.c.chain_digest).where(*same)).scalar()
        account.observed_at = published.observed_at
        account.chain_digest, account.archived_digest = digest, published.chain_digest
        if differ(published.chain_digest, digest):
            reason = "the warehouse holds another chain digest"
            self.done.add_mismatch(episode, published, reason, published.chain_digest, digest)
