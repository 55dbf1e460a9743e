"""Metrics of a warehouse for Prometheus: sums over all accounts, and series by account for a bounded number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime

import etl
from etl.domain.runs import AccountStatus
from etl.extract.ledger import DayPoints
from etl.read.monitoring import Monitoring
from etl.read.status import AccountState, LastRun
from etl.report import brief
from etl.report.prometheus import Gauge, Labels
from etl.report.wording import printable

MOST = 300
"""Most accounts with series of their own; the sums hold all of them."""
LONGEST_NAME = 80
STATUSES = ("succeeded", "held", "failed", "unreachable")


def gauges(found: Monitoring, late: Collection[int], *, shortened: bool) -> Iterator[Gauge]:
    """All families. `late`: ids of accounts that are older than asked for; `shortened`: for `--brief`.

    Series by account are those of the accounts that need attention, then of the longest unobserved ones.
    """
    accounts = found.status.accounts
    shown = _shown(accounts, late, shortened=shortened)
    yield _one("status_timestamp_seconds", "When these figures were read.", found.read_at.timestamp())
    yield Gauge("vnsync_build_info", "Version of vnsync.", (({"version": etl.__version__}, 1),))
    yield from _of_runs(found)
    yield from _of_all(accounts, found.claimed)
    yield _one("accounts_left_out", "Accounts without series of their own.", len(accounts) - len(shown))
    yield from _of_each(shown, found.claimed)
    yield from _of_points(found)


def _shown(accounts: Sequence[AccountState], late: Collection[int], *, shortened: bool) -> list[AccountState]:
    """The accounts that get series of their own, by id."""

    def needs_attention(account: AccountState) -> bool:
        return brief.needs_attention(account) or account.account_id in late

    eligible = [a for a in accounts if needs_attention(a)] if shortened else list(accounts)
    eligible.sort(key=lambda a: (not needs_attention(a), a.is_unreachable, _instant(a.observed_at)))
    return sorted(eligible[: brief.MOST if shortened else MOST], key=lambda a: a.account_id)


def _of_runs(found: Monitoring) -> Iterator[Gauge]:
    run = found.status.last_run
    yield _one("runs_running", "Runs in progress.", found.running)
    yield _one("last_success_timestamp_seconds", "End of the last run with exit code 0.", _seconds(found.last_success))
    if run is not None:
        yield from _of_last_run(run)


def _of_last_run(run: LastRun) -> Iterator[Gauge]:
    yield _one("last_run_start_timestamp_seconds", "Start of the last run.", run.started_at.timestamp())
    yield _one("last_run_end_timestamp_seconds", "End of the last run; none while it runs.", _seconds(run.finished_at))
    yield _one("last_run_exit_code", "Exit code of the last run; none while it runs.", run.exit_code)


def _of_all(accounts: Sequence[AccountState], claimed: Collection[int]) -> Iterator[Gauge]:
    counts = Counter(map(_status, accounts))
    reachable = [a for a in accounts if not a.is_unreachable]
    observed = [a.observed_at.timestamp() for a in reachable if a.observed_at is not None]
    yield Gauge(
        "vnsync_accounts",
        "Accounts by the status of their last sync.",
        tuple(({"status": status}, counts[status]) for status in STATUSES),
    )
    yield _one("accounts_claimed", "Accounts that runs in progress have claimed.", len(claimed))
    never = len(reachable) - len(observed)
    yield _one("accounts_never_observed", "Reachable accounts that were never published.", never)
    of_all = "of the last observations of all reachable accounts."
    yield _one("oldest_observation_timestamp_seconds", f"Oldest {of_all}", min(observed, default=None))
    yield _one("newest_observation_timestamp_seconds", f"Newest {of_all}", max(observed, default=None))
    for name, words, value in _FIGURES:
        yield _one(name, f"{words}, at the last observation of every account.", sum(map(value, accounts)))


def _of_each(accounts: Sequence[AccountState], claimed: Collection[int]) -> Iterator[Gauge]:
    observed = [a for a in accounts if a.observed_at is not None]
    yield _each("info", "Name of the account.", accounts, _always, lambda a: {"account_name": _name(a)})
    yield _each(
        "status", "Status of the last sync; the value is 1.", accounts, _always, lambda a: {"status": _status(a)}
    )
    yield _each("claimed", "Whether a run in progress has it.", accounts, lambda a: int(a.account_id in claimed))
    yield _each("last_observation_timestamp_seconds", "Last observation.", observed, lambda a: _seconds(a.observed_at))
    for name, words, value in _FIGURES:
        yield _each(name, f"{words}, at the last observation of the account.", observed, value)


def _of_points(found: Monitoring) -> Iterator[Gauge]:
    yield _of_tokens("points_left", "API points left of the day.", found, lambda p: p.left)
    yield _of_tokens("points_limit", "API points of a whole day.", found, lambda p: p.limit)
    yield _of_tokens("points_reset_timestamp_seconds", "When the day's points are back.", found, lambda p: p.ends_at)


def _always(account: AccountState) -> int:
    """Value of a series whose labels say it all."""
    return 1


_FIGURES: tuple[tuple[str, str, Callable[[AccountState], int]], ...] = (
    ("numbers", "Numbers that the source listed", lambda a: a.listed_numbers or 0),
    ("quarantined_records", "Records and parts of records that could not be used", lambda a: a.quarantined),
    ("suspect_numbers", "Numbers that are missing and not proved gone", lambda a: a.suspects),
    ("unaccounted_numbers", "Numbers that the source counted and did not send", lambda a: a.unaccounted),
)


# -- samples


def _one(name: str, words: str, value: float | None) -> Gauge:
    """A family with one sample without labels; none where the value is unknown."""
    return Gauge(f"vnsync_{name}", words, () if value is None else (({}, value),))


def _each(
    name: str,
    words: str,
    accounts: Iterable[AccountState],
    value: Callable[[AccountState], float | None],
    more: Callable[[AccountState], Labels] = lambda a: {},
) -> Gauge:
    samples = [({"account_id": str(a.account_id), **more(a)}, value(a)) for a in accounts]
    return Gauge(f"vnsync_account_{name}", words, tuple((labels, v) for labels, v in samples if v is not None))


def _of_tokens(name: str, words: str, found: Monitoring, value: Callable[[DayPoints], float | None]) -> Gauge:
    samples = [({"token": token}, value(points)) for token, points in found.points.items()]
    return Gauge(f"vnsync_{name}", words, tuple((labels, v) for labels, v in samples if v is not None))


def _status(account: AccountState) -> str:
    return AccountStatus.UNREACHABLE.value if account.is_unreachable else account.status


def _name(account: AccountState) -> str:
    return printable(account.account_name or "", LONGEST_NAME)


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def _instant(observed_at: datetime | None) -> float:
    return 0.0 if observed_at is None else observed_at.timestamp()
