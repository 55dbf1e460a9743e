"""Result of a replay: the replayed runs and accounts, and the mismatches with the archive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from etl.archive.lines import Publishes
from etl.archive.manifest import Manifest
from etl.domain.installations import origin_of
from etl.domain.runs import AccountResult, AccountStatus
from etl.domain.viewer import Viewer
from etl.errors import IntegrityBroken

MOST_NAMED = 20
"""Maximum number of runs that a suggested command names one by one."""


class Episode(Struct, frozen=True):
    """Run to replay, and its publications by account.

    `manifest`: without its response lines; `erased`: accounts from whose responses personal content was erased.
    """

    manifest: Manifest
    published: Mapping[int, Publishes]
    erased: frozenset[int | None] = frozenset()

    @property
    def run_id(self) -> int:
        """Id of the run."""
        return self.manifest.run.run_id

    @property
    def viewers(self) -> dict[int, Viewer]:
        """Archived viewer of each published account."""
        return {
            i: Viewer(credential=p.listed_by_credential, user_id=p.listed_by_user_id) for i, p in self.published.items()
        }

    @property
    def origin(self) -> str:
        """Origin of the API that the run read."""
        return origin_of(self.manifest.run.source_url)

    def erased_from(self, account_id: int) -> bool:
        """Whether personal content was erased from the account's responses."""
        return account_id in self.erased


class Mismatch(Struct, frozen=True, kw_only=True):
    """First difference between a replay and the archive in one account. `table`: the first table that differs."""

    run_id: int
    account_id: int
    observed_at: datetime
    what: str
    table: str | None = None
    expected: datetime | str | None = None
    found: datetime | str | None = None

    @property
    def compares(self) -> bool:
        """Whether the mismatch has an expected and a found value."""
        return self.expected is not None or self.found is not None

    @property
    def shown(self) -> tuple[str, str]:
        """Expected and found value as text."""
        return _shown(self.expected), _shown(self.found)


class AccountReplay(Struct, kw_only=True):
    """Progress of one account's replay. `archived_digest`: the chain's head in the archive.

    `unpublished`: syncs that published nothing in the recorded run either. `failure`: reason why a sync that was
    published could not be replayed.
    """

    account_id: int
    published: int = 0
    unpublished: int = 0
    failure: str | None = None
    observed_at: datetime | None = None
    chain_digest: str | None = None
    archived_digest: str | None = None


class Replayed(Struct, kw_only=True):
    """Result of a replay. `skipped`: runs that published nothing, or that the warehouse already has.

    `whole`: all requested runs; `undone`: those of them that a restored backup undid.
    """

    runs: int = 0
    whole: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    accounts: dict[int, AccountReplay] = field(default_factory=dict)
    mismatches: dict[int, Mismatch] = field(default_factory=dict)

    def account(self, account_id: int) -> AccountReplay:
        """Entry of an account, created if missing."""
        return self.accounts.setdefault(account_id, AccountReplay(account_id=account_id))

    @property
    def failed(self) -> list[int]:
        """Accounts with a sync that could not be replayed; their history is incomplete."""
        return sorted(a.account_id for a in self.accounts.values() if a.failure)

    def add_mismatch(
        self,
        episode: Episode,
        published: Publishes,
        what: str,
        expected: datetime | str | None = None,
        found: datetime | str | None = None,
        table: str | None = None,
    ) -> None:
        """Record a mismatch: only the first of each account, because it causes later ones. An erasure is named."""
        if episode.erased_from(published.account_id):
            what = f"{what}; personal content was erased from its responses"
        mismatch = Mismatch(
            run_id=episode.run_id,
            account_id=published.account_id,
            observed_at=published.observed_at,
            what=what,
            table=table,
            expected=expected,
            found=found,
        )
        self.mismatches.setdefault(published.account_id, mismatch)

    def add_result(self, episode: Episode, account_id: int, result: AccountResult | None) -> None:
        """Add the result of a replayed account sync, and compare it with the archive."""
        account, published = self.account(account_id), episode.published.get(account_id)
        if published is None:
            account.unpublished += 1
        elif result is None or result.status is not AccountStatus.SUCCEEDED:
            reason = (result.error if result else None) or "it was not tried"
            account.failure = account.failure or reason
            self.add_mismatch(episode, published, f"it is not published: {reason}")
        else:
            account.published += 1
            account.observed_at = result.observed_at
            account.chain_digest, account.archived_digest = result.chain_digest, published.chain_digest
            self._compare(episode, published, result)

    def _compare(self, episode: Episode, published: Publishes, result: AccountResult) -> None:
        if result.observed_at != published.observed_at:
            self.add_mismatch(
                episode, published, "it was observed at another moment", published.observed_at, result.observed_at
            )
        for table, expected in published.changes.items():
            change = result.changes.get(table)
            found = (change.opened, change.closed) if change else (0, 0)
            if found != tuple(expected):
                self.add_mismatch(episode, published, "other changes", _counts(expected), _counts(found), table)
        if differ(published.chain_digest, result.chain_digest):
            self.add_mismatch(episode, published, "another chain digest", published.chain_digest, result.chain_digest)

    def error(self) -> IntegrityBroken | None:
        """Error for a replay with mismatches; None without any."""
        if not self.mismatches:
            return None
        first = min(self.mismatches.values(), key=lambda d: d.observed_at)
        table = f", first in {first.table}" if first.table else ""
        shown = " (expected {}, found {})".format(*first.shown) if first.compares else ""
        return IntegrityBroken(
            f"the replay differs in run {first.run_id}, account {first.account_id}{table}: {first.what}{shown}",
            remedy=self.without_undone()
            or "Compare with `vnsync replay --diff`; `vnsync verify` on the archive shows whether it is complete",
        )

    def without_undone(self, *, comparing: bool = False) -> str:
        """Remedy that leaves out the runs that a restored backup undid; empty if there are none.

        `comparing`: for `replay --diff`, instead of a replay into a new database.
        """
        kept = [run_id for run_id in self.whole if run_id not in self.undone]
        where, option = ("", " --diff") if comparing else (", in a new database", "")
        if not self.undone:
            return ""
        if len(kept) <= MOST_NAMED:
            runs = " ".join(f"--run {run_id}" for run_id in kept)
            return f"Leave out the runs that the backup undid{where}: `vnsync replay{option} ARCHIVE {runs}`"
        runs = ", ".join(map(str, self.undone))
        return f"Leave out the runs that the backup undid{where}: name every run with --run, but {runs}"


def differ(expected: str | None, found: str | None) -> bool:
    """Whether two digests differ; a missing digest (of a sync that is older than the chain) differs from none."""
    return expected is not None and found is not None and expected != found


def _shown(value: datetime | str | None) -> str:
    """Value as text; an instant with microseconds, because two instants may differ by no more than that."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f} UTC"
    return "none" if value is None else value


def _counts(change: tuple[int, int]) -> str:
    return f"{change[0]} opened, {change[1]} closed"
