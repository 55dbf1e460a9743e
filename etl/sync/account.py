"""One account sync, the unit of work: listed, transformed, proven and published, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from etl.domain.events import AccountStarted, NumbersRead, Publishing
from etl.domain.fingerprints import ListingPrint
from etl.domain.guard import Guard, Numbers
from etl.domain.listing_stats import ListingStats
from etl.domain.recorder import Publication
from etl.domain.runs import AccountResult, AccountStatus
from etl.errors import AccountRefused, Held, VnsyncError
from etl.extract.accounts import Account
from etl.extract.listing import Listing, Page
from etl.extract.prefetch import Begin
from etl.extract.proof import Proof
from etl.load.findings import AccountFacts, Findings, Told
from etl.load.first import Batch
from etl.load.incremental import IncrementalState
from etl.load.partial import PartlyRead
from etl.load.publish import AccountLoad, held, open_load
from etl.load.staging import Rows
from etl.store.accounts import KnownAccount
from etl.sync.checks import refuse_mass_quarantine, refuse_strangers
from etl.sync.context import SyncContext
from etl.sync.first_load import FirstListing
from etl.sync.identity import Identity
from etl.sync.viewer import concerns_user
from etl.transform.decode import Decoded, Rejected, decode, partly_read
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer

_CUSTOMER = ("virtual_number_id", "child_customer_id")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An account as it was listed. `now`: when that was so; `rows`: of a first load, to be written; None: staged."""

    load: AccountLoad
    proof: Proof
    facts: AccountFacts
    now: datetime
    rows: Iterable[Batch] | None


class AccountSync:
    """One account: listed, transformed, staged, proven and published, or not at all."""

    def __init__(self, run: SyncContext, account: Account, known: KnownAccount) -> None:
        self._run, self._account, self._known = run, account, known
        self._started = run.clock.now()
        self._requests, self._retries = run.api.requests, run.api.retries
        self._drift = DriftLog()
        self._normalizer = Normalizer(self._drift)
        self._rejected: list[Rejected] = []
        self._listing: Listing | None = None
        self._suspects = 0
        self._identity = Identity(run, account, known)

    def publish(self) -> AccountResult:
        """Do it all. Raises `VnsyncError` when nothing was published."""
        run = self._run
        with self._listed(straight=True) as listed:
            self._guard(listed.load, listed.proof)
            run.slot.listed(self._stats.listed)
            run.report(Publishing(account_id=self._account.account_id, listed=self._stats.listed))

            def last_word(published: AccountResult) -> None:
                run.recorder.publishes(
                    Publication(
                        result=published,
                        previous=listed.load.previous,
                        timezone=published.timezone,
                        viewer=self._identity.viewer,
                    )
                )

            return listed.load.publish(
                partial(self._told, listed),
                now=listed.now,
                gone=listed.proof.gone,
                partly_read=self._partly_read(),
                memory=self._memory,
                rows=listed.rows,
                guard=self._limits,
                last_word=last_word,
            )

    def _told(self, listed: Listed) -> Told:
        return Told(
            result=self._result(AccountStatus.SUCCEEDED),
            findings=Findings(facts=listed.facts, rejected=self._rejected, drift=self._drift.seen),
            unreported=self._normalizer.unreported,
        )

    @contextmanager
    def _listed(self, *, straight: bool) -> Iterator[Listed]:
        """The account listed and proven, and its rows on their way into the warehouse.

        A user who is refused before a number was listed gives way to the next one.
        `straight`: of an account of which the warehouse has nothing, rows need not be staged.
        """
        refused: AccountRefused | None = None
        for user_id in self._identity.users.in_turn():
            with contextlib.ExitStack() as until_published:
                try:
                    listed = until_published.enter_context(self._listed_through(user_id, straight=straight))
                except AccountRefused as exc:
                    if self._stats.listed or not concerns_user(exc):
                        raise
                    refused = exc
                    continue
                yield listed
                return
        assert refused is not None
        raise refused

    @contextmanager
    def _listed_through(self, user_id: int | None, *, straight: bool) -> Iterator[Listed]:
        run = self._run
        self._identity.list_through(user_id)
        with run.fetcher() as begin, contextlib.ExitStack() as until_published:
            described = self._identity.described(begin)
            load = until_published.enter_context(self._load(begin))
            self._memory = IncrementalState(self._remembered(load), self._normalizer, self._drift)
            self._listing = listing = self._new_listing(load, user_id, begin)
            account = described(load)
            self._announce(account, self._memory.numbers or load.open_numbers)
            listing.start()
            first: FirstListing | None = None
            if straight and not load.open_numbers and self._memory.empty:
                first = until_published.enter_context(self._first_listing())
            for page in listing.pages():
                if first:
                    first.take(page, listing.about(page))
                else:
                    load.stage(self._taken(page))
                self._tell(listing, load.open_numbers)
            run.recorder.plans(account.account_id, listing.bounds)
            self._identity.compare_users(self._stats.listed)
            proof = Proof() if first else self._proven(load, listing)
            rows = self._batches(first, listing) if first else None
            yield Listed(
                load=load,
                proof=proof,
                facts=self._identity.facts(account, suspects=self._suspects),
                now=run.clock.now(),
                rows=rows,
            )

    def _first_listing(self) -> FirstListing:
        return FirstListing(
            self._run.transformers,
            memory=self._memory,
            normalizer=self._normalizer,
            drift=self._drift,
            rejected=self._rejected,
            admit=lambda numbers: self._refuse_strangers(numbers.tuples(_CUSTOMER)),
            check_cancelled=self._run.clock.monotonic,
        )

    def _batches(self, first: FirstListing, listing: Listing) -> Iterator[Batch]:
        """All rows of a first load, unless most records turn out to be unusable."""
        yield from first.batches()
        refuse_mass_quarantine(self._rejected, listing.stats.listed)

    @property
    def _stats(self) -> ListingStats:
        return self._listing.stats if self._listing else ListingStats()

    def _load(self, begin: Begin) -> AbstractContextManager[AccountLoad]:
        run = self._run
        account_id = self._account.account_id
        return open_load(
            run.connection_cache, run.engine, run.installation, account_id, run.run_id, begin, pause=run.clock.sleep
        )

    def _announce(self, account: Account, expected: int) -> None:
        account_id, name = account.account_id, account.account_name
        self._run.report(AccountStarted(account_id=account_id, account_name=name, expected=expected))

    def _remembered(self, load: AccountLoad) -> ListingPrint | None:
        return load.remembered() if self._run.options.shortcuts else None

    def _new_listing(self, load: AccountLoad, user_id: int | None, begin: Begin) -> Listing:
        options = self._run.options
        before = self._memory.windows(options.page_limit)
        bounds = given = options.bounds.get(self._account.account_id)
        if given is None and before:
            bounds = [one.window.upto for one in before if one.window.upto is not None]
        known: Sequence[int] = () if bounds is not None else load.open_ids
        return Listing(
            self._run.api,
            user_id=user_id,
            known=known,
            limit=options.page_limit,
            bounds=bounds,
            exactly=given is not None,
            before=before,
            begin=begin,
            length=self._run.list_length,
        )

    def failed(self, exc: VnsyncError) -> AccountResult:
        """The result of a sync that published nothing, because of `exc`."""
        status = AccountStatus.HELD if isinstance(exc, Held) else AccountStatus.FAILED
        return replace(self._result(status), error=f"{exc}. {exc.remedy}", exit_code=exc.exit_code)

    # -- what

    def _taken(self, page: Page) -> Rows:
        """A page's rows in the tables whose rows belong to one number; of what is as before none are made."""
        if page.as_before and page.before is not None:
            self._memory.keep(page.before)
            return {}
        with self._drift.apart() as noted:
            read = self._read(page)
            rows = self._normalizer.rows(read.numbers)
        drift_entries = [d.plain for d in noted.seen]
        self._memory.take(page, [number.id for number in read.numbers], drift_entries, partly_read(read.rejected))
        return rows

    def _read(self, page: Page) -> Decoded:
        """The records of a page, usable or not."""
        decoded = decode([*page.records.values(), *page.unreadable], self._drift)
        self._rejected += decoded.rejected
        self._refuse_strangers((n.id, n.child_customer_id) for n in decoded.numbers)
        return decoded

    def _stage_shared(self, load: AccountLoad, proof: Proof) -> None:
        """Stage what numbers share, as all records together tell it, those that were not read among them."""
        load.stage(self._normalizer.shared_rows())
        if not self._memory.skipped:
            return
        unlisted = {*proof.gone, *proof.suspects, *self._unusable()}
        contradicted = load.contradicted(unlisted)
        for table, row in contradicted:
            self._normalizer.recall(table, row)
        if contradicted:
            load.restage(self._normalizer.shared_rows())

    def _unusable(self) -> set[int | None]:
        return {r.virtual_number_id for r in self._rejected if r.whole}

    def _partly_read(self) -> PartlyRead:
        """Numbers of which some element could not be used, with the tables whose rows stay open for that."""
        return {
            (r.virtual_number_id, t) for r in self._rejected if r.virtual_number_id is not None for t in r.keeps_open
        }

    def _tell(self, listing: Listing, expected: int) -> None:
        read = listing.stats.listed
        self._run.report(
            NumbersRead(
                account_id=self._account.account_id,
                read=read,
                expected=max(expected, listing.announced, read),
                points_left=self._run.api.points.left,
            )
        )

    # -- what is gone

    def _refuse_strangers(self, numbers: Iterable[tuple[int, Any]]) -> None:
        refuse_strangers(self._account.account_id, self._run.roster, numbers)

    def _proven(self, load: AccountLoad, listing: Listing) -> Proof:
        """What became of the numbers that were not listed, once all that was read is staged."""
        proof = self._prove(load, listing)
        self._memory.complete()
        self._stage_shared(load, proof)
        return proof

    def _prove(self, load: AccountLoad, listing: Listing) -> Proof:
        refuse_mass_quarantine(self._rejected, listing.stats.listed)
        if self._memory.nothing_missing(load.open_numbers):
            return Proof()
        kept = self._unusable()
        missing = [i for i in self._memory.missing(load.open_numbers, lambda: load.open_ids) if i not in kept]
        if not missing:
            return Proof()
        proof = listing.prove(missing, emptied=self._approved)
        if proof.alive:
            load.stage(self._normalizer.rows(self._read(Page(proof.alive, [], None, [])).numbers))
        if self._identity.viewer_differs and not self._approved:
            proof = proof.doubting(set(proof.gone))
        self._suspects = len(proof.suspects)
        return proof

    @property
    def _approved(self) -> bool:
        return self._account.account_id in self._run.options.approve_close

    @property
    def _limits(self) -> Guard | None:
        """The guard of this sync; None where an operator approved what it would hold."""
        return None if self._approved else Guard(self._run.options.max_close_share)

    def _guard(self, load: AccountLoad, proof: Proof) -> None:
        listed, gone = self._stats.listed, len(proof.gone)
        still_open = load.open_numbers - gone - len(proof.suspects)
        numbers = Numbers(open_before=load.open_numbers, listed=listed, new=max(0, listed - still_open), gone=gone)
        if self._limits and (objection := self._limits.objection(numbers)):
            raise held(self._account.account_id, objection)

    # -- the outcome

    def _result(self, status: AccountStatus) -> AccountResult:
        api, listing = self._run.api, self._listing
        stats = listing.stats if listing else None
        return AccountResult(
            run_id=self._run.run_id,
            account_id=self._account.account_id,
            account_name=self._account.account_name or self._known.account_name,
            listed_by_user_id=self._identity.viewer.user_id,
            listed_by_credential=self._identity.viewer.credential,
            viewer_changed=self._identity.viewer_changed(self._suspects),
            status=status,
            started_at=self._started,
            strategy=stats.strategy if stats else None,
            requests=api.requests - self._requests,
            retries=api.retries - self._retries,
            reported_total=stats.reported_total if stats else None,
            listed_numbers=stats.listed if stats else None,
            unaccounted=stats.unaccounted if stats else 0,
            suspects=self._suspects,
            duplicates=stats.duplicates if stats else 0,
            conflicts=(stats.conflicts if stats else 0) + self._normalizer.conflicts,
            quarantined=len(self._rejected),
        )
