"""Account sync, the unit of work: an account is listed, transformed, proven and published whole, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from etl.domain.events import AccountStarted, NumbersRead, Publishing
from etl.domain.fingerprints import ListingPrint
from etl.domain.guard import Guard, Numbers
from etl.domain.listing_stats import ListingStats
from etl.domain.recorder import Publication
from etl.domain.runs import AccountResult, AccountStatus
from etl.errors import AccountRefused, Held, VnsyncError
from etl.extract.accounts import Account
from etl.extract.listing import Listing
from etl.extract.prefetch import Begin
from etl.extract.proof import Proof
from etl.load.account import AccountLoad, open_load
from etl.load.findings import AccountFacts, Findings
from etl.load.publish import PublishTransaction
from etl.store.accounts import KnownAccount
from etl.sync.checks import held
from etl.sync.context import SyncContext
from etl.sync.first_load import FirstLoadPages
from etl.sync.identity import Identity
from etl.sync.page_processor import PageProcessor
from etl.sync.viewer import concerns_user


class _Prepared(Struct, frozen=True, kw_only=True):
    """An account before it is listed: its load, and the fingerprints of its last listing, if they may be used."""

    load: AccountLoad
    remembered: ListingPrint | None


class Listed(Struct, frozen=True, kw_only=True):
    """An account as it was listed. `now`: when that was so; `first`: pages of a first load; None: rows are staged."""

    load: AccountLoad
    proof: Proof
    facts: AccountFacts
    now: datetime
    first: FirstLoadPages | None


class AccountSync:
    """The sync of one account."""

    def __init__(self, run: SyncContext, account: Account, known: KnownAccount) -> None:
        self._run, self._account, self._known = run, account, known
        self._started = run.clock.now()
        self._requests, self._retries = run.api.requests, run.api.retries
        self._pages = PageProcessor(account.account_id, run.roster)
        self._listing: Listing | None = None
        self._suspects = 0
        self._identity = Identity(run, account, known)

    def publish(self) -> AccountResult:
        """Sync and publish. Raises `VnsyncError` when nothing was published."""
        run = self._run
        with self._listed(straight=True) as listed:
            self._guard(listed.load, listed.proof)
            run.slot.listed(self._stats.listed)
            run.report(Publishing(account_id=self._account.account_id, listed=self._stats.listed))
            with self._written(listed) as transaction:
                found = Findings(facts=listed.facts, rejected=self._pages.rejected, drift=self._pages.drift.seen)
                published = transaction.finish(self._result(AccountStatus.SUCCEEDED), found, self._pages.incremental)
                run.recorder.publishes(
                    Publication(
                        result=published,
                        previous=transaction.previous,
                        timezone=published.timezone,
                        viewer=self._identity.viewer,
                    )
                )
                transaction.commit()
            return published

    @contextmanager
    def _written(self, listed: Listed) -> Iterator[PublishTransaction]:
        """The publishing transaction with all rows in it: written (first load), or compared with the current ones."""
        if listed.first is not None:
            with listed.load.publishing_first(listed.now) as transaction:
                for batch in listed.first.batches():
                    transaction.write(batch)
                self._pages.refuse_mass_quarantine(self._stats.listed)
                yield transaction
            return
        with listed.load.publishing(listed.now, listed.proof.gone) as transaction:
            transaction.compare(self._pages.partly_read, unreported=self._pages.normalizer.unreported)
            for objection in self._objections_to_links(transaction):
                raise held(self._account.account_id, objection)
            yield transaction

    def dry_run(self) -> AccountResult:
        """The result that `publish` would give; `held` where the guard would stop it, with the changes nevertheless."""
        with (
            self._run.slot.account(),
            self._listed(straight=False) as listed,
            listed.load.trying(listed.now, listed.proof.gone) as transaction,
        ):
            transaction.compare(self._pages.partly_read, unreported=self._pages.normalizer.unreported)
            objections = [self._objection(listed.load, listed.proof), *self._objections_to_links(transaction)]
            objection = next((one for one in objections if one), None)
            stopped = held(self._account.account_id, objection) if objection else None
            result = self.failed(stopped) if stopped else self._result(AccountStatus.SUCCEEDED)
            return replace(
                result,
                account_name=listed.facts.account_name,
                timezone=listed.facts.timezone,
                changes=transaction.changes,
                rows_opened=sum(c.opened for c in transaction.changes.values()),
                rows_closed=sum(c.closed for c in transaction.changes.values()),
            )

    @contextmanager
    def _listed(self, *, straight: bool) -> Iterator[Listed]:
        """The account listed and proven, with its rows staged or ready to be written.

        When a user is refused before a number was listed, the next user is tried.
        `straight`: the rows of a first load are not staged.
        """
        refused: AccountRefused | None = None
        with self._prepared() as prepared:
            for user_id in self._identity.users.in_turn():
                with contextlib.ExitStack() as until_published:
                    try:
                        listed = until_published.enter_context(
                            self._listed_through(user_id, prepared, straight=straight)
                        )
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
    def _prepared(self) -> Iterator[_Prepared]:
        """What the warehouse knows of the account, read before the worker waits for its turn to list."""
        run = self._run
        with run.fetcher() as begin, self._load(begin) as load:
            prepared = _Prepared(load=load, remembered=self._remembered(load))
            _ = load.open_numbers  # read now, so that no snapshot is held while the worker waits
            run.slot.take(run.clock)
            with run.api.account():
                self._started = run.clock.now()
                yield prepared

    @contextmanager
    def _listed_through(self, user_id: int | None, prepared: _Prepared, *, straight: bool) -> Iterator[Listed]:
        run, load = self._run, prepared.load
        self._identity.list_through(user_id)
        with run.fetcher() as begin, contextlib.ExitStack() as until_published:
            described = self._identity.described(begin)
            self._pages = pages = PageProcessor(self._account.account_id, run.roster, prepared.remembered)
            self._listing = listing = self._new_listing(load, user_id, begin)
            account = described()
            self._announce(account, pages.incremental.numbers or load.open_numbers)
            listing.start()
            first: FirstLoadPages | None = None
            if straight and not load.open_numbers and pages.incremental.empty:
                first = until_published.enter_context(FirstLoadPages(run.transformers, pages, run.clock.monotonic))
            for page in listing.pages():
                if first:
                    first.take(page, listing.about(page))
                else:
                    load.stage(pages.process(page))
                self._tell(listing, load.open_numbers)
            run.recorder.plans(account.account_id, listing.bounds)
            self._identity.compare_users(self._stats.listed)
            proof = Proof() if first else self._proven(load, listing)
            facts = self._identity.facts(account, suspects=self._suspects)
            yield Listed(load=load, proof=proof, facts=facts, now=run.clock.now(), first=first)

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
        before = self._pages.incremental.windows(options.page_limit)
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

    def _stage_shared(self, load: AccountLoad, proof: Proof) -> None:
        """Stage the rows that numbers share, consistent with all records, also those that were not decoded."""
        load.stage_rows(self._pages.shared_rows())
        if not self._pages.incremental.skipped:
            return
        unlisted = {*proof.gone, *proof.suspects, *self._pages.unusable}
        contradicted = load.contradicted(unlisted)
        for table, row in contradicted:
            self._pages.normalizer.recall(table, row)
        if contradicted:
            load.restage(self._pages.shared_rows())

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

    # -- numbers that are gone

    def _proven(self, load: AccountLoad, listing: Listing) -> Proof:
        """The proof for the numbers that were not listed, once all records are staged."""
        proof = self._prove(load, listing)
        self._pages.incremental.complete()
        self._stage_shared(load, proof)
        return proof

    def _prove(self, load: AccountLoad, listing: Listing) -> Proof:
        self._pages.refuse_mass_quarantine(listing.stats.listed)
        if self._pages.incremental.nothing_missing(load.open_numbers):
            return Proof()
        kept = self._pages.unusable
        missing = [
            i for i in self._pages.incremental.missing(load.open_numbers, lambda: load.open_ids) if i not in kept
        ]
        if not missing:
            return Proof()
        proof = listing.prove(missing, emptied=self._approved)
        if proof.alive:
            load.stage(self._pages.process_alone(proof.alive.values()))
        if not self._approved:
            proof = proof.doubting(self._identity.cannot_tell(load, proof.gone))
        self._suspects = len(proof.suspects)
        return proof

    @property
    def _approved(self) -> bool:
        return self._account.account_id in self._run.options.approve_close

    @property
    def _limits(self) -> Guard | None:
        """The guard of this sync; None where an operator approved the closing."""
        return None if self._approved else Guard(self._run.options.max_close_share)

    def _guard(self, load: AccountLoad, proof: Proof) -> None:
        if objection := self._objection(load, proof):
            raise held(self._account.account_id, objection)

    def _objection(self, load: AccountLoad, proof: Proof) -> str | None:
        listed, gone = self._stats.listed, len(proof.gone)
        still_open = load.open_numbers - gone - len(proof.suspects)
        numbers = Numbers(open_before=load.open_numbers, listed=listed, new=max(0, listed - still_open), gone=gone)
        return self._limits.objection(numbers) if self._limits else None

    def _objections_to_links(self, transaction: PublishTransaction) -> list[str]:
        limits = self._limits
        found = [limits.objection_to_links(links) for links in transaction.removed_links()] if limits else []
        return [objection for objection in found if objection]

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
            conflicts=(stats.conflicts if stats else 0) + self._pages.normalizer.conflicts,
            quarantined=len(self._pages.rejected),
        )
