"""What a replay did, and where it is not what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from etl.archive.lines import Publishes
from etl.archive.manifest import Manifest
from etl.domain.installations import origin_of
from etl.domain.runs import AccountResult, AccountStatus
from etl.domain.viewer import Viewer
from etl.errors import IntegrityBroken

MOST_NAMED = 20
"""Runs up to which a command that names them all is told."""


@dataclass(frozen=True)
class Episode:
    """A run to replay, and what it published, by account.

    `manifest`: without its responses; `erased`: the accounts from whose responses personal content was erased.
    """

    manifest: Manifest
    published: Mapping[int, Publishes]
    erased: frozenset[int | None] = frozenset()

    @property
    def run_id(self) -> int:
        """The run's id."""
        return self.manifest.run.run_id

    @property
    def viewers(self) -> dict[int, Viewer]:
        """The viewer of each account that was published, as the archive has it."""
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


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Where a replay is not what was: the first of its account. `table`: the first table in which it shows."""

    run_id: int
    account_id: int
    observed_at: datetime
    what: str
    table: str | None = None
    expected: datetime | str | None = None
    found: datetime | str | None = None

    @property
    def compares(self) -> bool:
        """Whether it has two values that are not the same."""
        return self.expected is not None or self.found is not None

    @property
    def shown(self) -> tuple[str, str]:
        """What was expected and what was found, for people."""
        return _shown(self.expected), _shown(self.found)


@dataclass(kw_only=True)
class AccountReplay:
    """How far an account was rebuilt. `archived_digest`: the chain's head as the archive has it.

    `unpublished`: syncs that published nothing then either. `failure`: why one that did could not be replayed.
    """

    account_id: int
    published: int = 0
    unpublished: int = 0
    failure: str | None = None
    observed_at: datetime | None = None
    chain_digest: str | None = None
    archived_digest: str | None = None


@dataclass(kw_only=True)
class Replayed:
    """What a replay did. `skipped`: runs that published nothing, or that the warehouse holds already.

    `whole`: all runs that were asked for; `undone`: those of them that a restored backup undid.
    """

    runs: int = 0
    whole: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    accounts: dict[int, AccountReplay] = field(default_factory=dict)
    mismatches: dict[int, Mismatch] = field(default_factory=dict)

    def account(self, account_id: int) -> AccountReplay:
        """The account's entry."""
        return self.accounts.setdefault(account_id, AccountReplay(account_id=account_id))

    @property
    def failed(self) -> list[int]:
        """The accounts of which a sync could not be replayed, so that their history has a hole."""
        return sorted(a.account_id for a in self.accounts.values() if a.failure)

    def depart(
        self,
        episode: Episode,
        published: Publishes,
        what: str,
        expected: datetime | str | None = None,
        found: datetime | str | None = None,
        table: str | None = None,
    ) -> None:
        """Note a departure: what follows the first of an account means nothing. An erasure explains it."""
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

    def settle(self, episode: Episode, account_id: int, result: AccountResult | None) -> None:
        """Take in what became of an account that was tried once more."""
        told, published = self.account(account_id), episode.published.get(account_id)
        if published is None:
            told.unpublished += 1
        elif result is None or result.status is not AccountStatus.SUCCEEDED:
            reason = (result.error if result else None) or "it was not tried"
            told.failure = told.failure or reason
            self.depart(episode, published, f"it is not published: {reason}")
        else:
            told.published += 1
            told.observed_at = result.observed_at
            told.chain_digest, told.archived_digest = result.chain_digest, published.chain_digest
            self._compare(episode, published, result)

    def _compare(self, episode: Episode, published: Publishes, result: AccountResult) -> None:
        if result.observed_at != published.observed_at:
            self.depart(
                episode, published, "it was observed at another moment", published.observed_at, result.observed_at
            )
        for table, expected in published.changes.items():
            change = result.changes.get(table)
            found = (change.opened, change.closed) if change else (0, 0)
            if found != tuple(expected):
                self.depart(episode, published, "other changes", _counts(expected), _counts(found), table)
        if differ(published.chain_digest, result.chain_digest):
            self.depart(episode, published, "another chain digest", published.chain_digest, result.chain_digest)

    def error(self) -> IntegrityBroken | None:
        """The error for a replay that is not what was; None when it is."""
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
        """How to replay what counts, where the archive holds runs that a restored backup undid; empty where not.

        `comparing`: how to compare with that, instead of rebuilding it.
        """
        kept = [run_id for run_id in self.whole if run_id not in self.undone]
        where, option = ("", " --diff") if comparing else (", in a new database", "")
        if not self.undone:
            return ""
        if len(kept) <= MOST_NAMED:
            runs = " ".join(f"--run {run_id}" for run_id in kept)
            return f"Leave out what the backup undid{where}: `vnsync replay{option} ARCHIVE {runs}`"
        runs = ", ".join(map(str, self.undone))
        return f"Leave out what the backup undid{where}: name every run with --run, but {runs}"


def differ(expected: str | None, found: str | None) -> bool:
    """Whether two digests contradict each other; what has none (older than the chain) contradicts nothing."""
    return expected is not None and found is not None and expected != found


def _shown(value: datetime | str | None) -> str:
    """An instant to the microsecond: it may differ from another by no more."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f} UTC"
    return "none" if value is None else value


def _counts(change: tuple[int, int]) -> str:
    return f"{change[0]} opened, {change[1]} closed"
