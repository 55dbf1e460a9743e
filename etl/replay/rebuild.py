"""Rebuilds a warehouse from an archive, run after run through the pipeline itself, and notes where it departs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

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
from etl.replay.time import ArchivedChance, ArchivedClock, moment_of
from etl.store import installations, schema
from etl.store.engine import database_errors
from etl.store.installations import Binding
from etl.sync.context import SyncOptions
from etl.sync.run import sync
from etl.workers.transformers import Transformers, inline


def episodes(layout: Layout, runs: Collection[int] = (), until: datetime | None = None) -> list[Episode]:
    """The archive's runs in order, those asked for: `runs` (none: all), begun not later than `until`."""
    pruned = set(layout.pruned_ids())
    there = [run_id for run_id in layout.run_ids() if run_id not in pruned]
    unknown = set(runs) - set(there)
    if unknown:
        raise Usage(f"the archive {layout.folder} holds no run {min(unknown)}", remedy="Leave --run out to replay all")
    manifests = sorted((read_manifest(layout, i, responses=False) for i in there), key=_moment)
    erased = _erased(layout, there)
    found = [Episode(m, p, erased[m.run.run_id]) for m, p in zip(manifests, confirmed(manifests), strict=True)]
    wanted = [e for e in found if not runs or e.run_id in runs]
    return [e for e in wanted if until is None or e.manifest.run.started_at <= until]


def _erased(layout: Layout, run_ids: Sequence[int]) -> dict[int, frozenset[int | None]]:
    """By run, the accounts from whose responses personal content was erased."""
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


def _moment(manifest: Manifest) -> datetime:
    """When it observed first: these moments grow for each account, whatever the clock did."""
    return min((a.observed_at for a in manifest.attempts.values()), default=manifest.run.started_at)


def _goes_back(episode: Episode, bound: Binding) -> bool:
    """Whether a run is of an earlier installation than the warehouse."""
    return episode.origin != bound.origin and _moment(episode.manifest) < bound.bound_at


@dataclass(frozen=True)
class Chosen:
    """What is to be replayed: runs of an archive that was found whole; `origins`: all that it published from."""

    layout: Layout
    episodes: Sequence[Episode]
    origins: frozenset[str]


def chosen(folder: Path, *, runs: Collection[int] = (), until: datetime | None = None) -> Chosen:
    """Check the archive, and choose what is asked for; no warehouse is needed for it.

    Raises `Usage` when there is nothing to replay, `IntegrityBroken` when the archive is damaged.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    found = episodes(layout, runs, until)
    if not found:
        first = min((e.manifest.run.started_at for e in episodes(layout, runs)), default=None)
        begun = (
            "there is no run in it" if first is None else f"what is asked for began at {first:%Y-%m-%d %H:%M:%S} UTC"
        )
        raise Usage(f"there is nothing to replay in {folder}: {begun}", remedy="Name another archive, or a later --to")
    every = episodes(layout) if runs or until else found
    return Chosen(layout, found, frozenset(e.origin for e in every if e.published))


def replay(asked: Chosen, engine: Engine, *, report: Report, transformers: Transformers = inline) -> Replayed:
    """Rebuild the accounts in the warehouse, which holds none of them, or stands where the archive goes on.

    `transformers`: as `sync` has them.
    Raises `Usage` when it stands elsewhere. What does not come out as it was is in the result.
    """
    replaying = _Replay(asked.layout, engine, report, transformers)
    replaying.refuse_other_places(asked.episodes)
    replaying.refuse_other_installations(asked)
    replaying.look_ahead(asked.episodes)
    for episode in asked.episodes:
        replaying.run(episode)
    return replaying.done


class _Replay:
    """The state of a replay: where each account stands, and what was done."""

    def __init__(self, layout: Layout, engine: Engine, report: Report, transformers: Transformers) -> None:
        self._layout, self._responses, self._engine, self._report = layout, Responses(layout), engine, report
        self._transformers = transformers
        self._heads = dict(self._standing())
        self._archived: set[tuple[int, datetime | None]] = set()
        self.done = Replayed()

    def look_ahead(self, wanted: Sequence[Episode]) -> None:
        """Take in which observations the archive has, and which runs a restored backup undid."""
        self._archived = {(i, p.observed_at) for e in wanted for i, p in e.published.items()}
        self.done.whole, self.done.undone = [e.run_id for e in wanted], undone(wanted)

    def _standing(self) -> Iterator[tuple[int, datetime]]:
        """The last observation of each account in the warehouse."""
        syncs = schema.account_syncs
        last = select(syncs.c.account_id, func.max(syncs.c.observed_at)).group_by(syncs.c.account_id)
        with database_errors(), self._engine.connect() as connection:
            yield from ((a, t) for a, t in connection.execute(last) if t is not None)

    def refuse_other_places(self, wanted: Sequence[Episode]) -> None:
        """A replay over something else would make a history that never was."""
        for account_id, head in self._heads.items():
            mine = [e.published[account_id] for e in wanted if account_id in e.published]
            known = {p.observed_at for p in mine} | {p.previous for p in mine}
            if mine and head not in known:
                raise Usage(
                    f"the warehouse has account {account_id} as of {head:%Y-%m-%d %H:%M:%S} UTC, "
                    "and the archive does not go on from there",
                    remedy="Replay into an empty database, or into a backup of a time that the archive knows",
                )

    def refuse_other_installations(self, asked: Chosen) -> None:
        """A warehouse of an installation that the archive does not know, or only from before it was bound anew."""
        bound = self._bound()
        new = [e for e in asked.episodes if any(map(self._is_new, e.published.values()))]
        if bound is None or not new or (bound.origin in asked.origins and not _goes_back(new[0], bound)):
            return
        raise OtherInstallation(
            f"the warehouse holds accounts of {bound.origin}, and the archive goes on with those of {new[0].origin}",
            remedy="Replay into an empty database, or into a backup of a time that the archive knows",
        )

    def _bound(self) -> Binding | None:
        with database_errors(), self._engine.connect() as connection:
            return installations.in_force(connection)

    def _is_elsewhere(self, episode: Episode) -> bool:
        bound = self._bound()
        return bound is not None and bound.origin != episode.origin

    def _rebind(self, episode: Episode) -> None:
        """Follow the archive to another installation: its warehouse was bound to that before this run."""
        if self._is_elsewhere(episode):
            installations.rebind(self._engine, episode.origin, now=_moment(episode.manifest))

    def run(self, episode: Episode) -> None:
        """Replay one run: what it published is published, what failed or was held fails again."""
        rest = {i: p for i, p in episode.published.items() if self._is_new(p)}
        for account_id in episode.published.keys() - rest.keys():
            self._compare_standing(episode, episode.published[account_id])
        unpublished = episode.manifest.outcomes.keys() - episode.published.keys()
        tried = rest.keys() | (unpublished & episode.manifest.roster.keys())  # of others it is only told that they left
        if not tried or (not rest and (self._is_there(episode.run_id) or self._is_elsewhere(episode))):
            self.done.skipped.append(episode.run_id)
            return
        for published in rest.values():
            self._expect_place(episode, published)
        if rest:
            self._rebind(episode)
        results = self._through_the_pipeline(episode, frozenset(tried))
        self.done.runs += 1
        for account_id in sorted(tried):
            result = results.get(account_id)
            self.done.settle(episode, account_id, result)
            if result and result.observed_at:
                self._heads[account_id] = result.observed_at

    def _is_new(self, published: Publishes) -> bool:
        head = self._heads.get(published.account_id)
        return head is None or published.observed_at > head

    def _is_there(self, run_id: int) -> bool:
        rows = schema.sync_runs
        with database_errors(), self._engine.connect() as connection:
            return connection.execute(select(rows.c.run_id).where(rows.c.run_id == run_id)).first() is not None

    def _through_the_pipeline(self, episode: Episode, tried: frozenset[int]) -> dict[int, AccountResult]:
        run = episode.manifest.run
        clock = ArchivedClock(moment_of(run.run_id, run.started_at))
        manifest = read_manifest(self._layout, run.run_id)
        source = ArchivedSource(manifest, episode.published, self._responses, clock)
        chance = ArchivedChance(run.run_id)
        options = SyncOptions(
            accounts=tried,
            approve_close=frozenset(run.approve_close),
            max_close_share=run.max_close_share,
            page_limit=run.page_limit,
            bounds=episode.manifest.bounds,
            shortcuts=False,
            viewers=episode.viewers,
        )
        key, any_chance, report = Login("replay", SESSION), ArchivedChance(0), self._report
        with open_api(run.source_url, key, clock=clock, random=any_chance, report=report, transport=source) as api:
            result = sync(
                api,
                self._engine,
                options=options,
                clock=clock,
                random=chance,
                report=report,
                transformers=self._transformers,
            )
        return {a.account_id: a for a in result.accounts}

    def _expect_place(self, episode: Episode, published: Publishes) -> None:
        head = self._heads.get(published.account_id)
        if head != published.previous:
            what = "the observation that it follows is not in the archive"
            if (published.account_id, published.previous) in self._archived:
                what = "it goes on from an earlier observation, for a backup was restored before it"
            self.done.depart(episode, published, what, published.previous, head)

    def _compare_standing(self, episode: Episode, published: Publishes) -> None:
        """What the warehouse holds already is compared, not written again."""
        told, syncs = self.done.account(published.account_id), schema.account_syncs
        same = (syncs.c.account_id == published.account_id, syncs.c.observed_at == published.observed_at)
        with database_errors(), self._engine.connect() as connection:
            digest = connection.execute(select(syncs.c.chain_digest).where(*same)).scalar()
        told.observed_at = published.observed_at
        told.chain_digest, told.archived_digest = digest, published.chain_digest
        if differ(published.chain_digest, digest):
            what = "the warehouse holds another chain digest"
            self.done.depart(episode, published, what, published.chain_digest, digest)
