"""`vnsync status`: freshness of the warehouse, for people and for monitors."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from etl.cli import options, reading
from etl.cli.choice import Duration
from etl.cli.state import current_state
from etl.errors import TryLater, VnsyncError, with_exit_code

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.read.monitoring import Monitoring
    from etl.read.status import AccountState, Status

EPILOG = """\b
Examples:
  vnsync status
  vnsync status --max-age 26h || notify "numbers are stale"
  vnsync status --fail --max-age 26h              for monitors: stale, failed or held
  vnsync status --as-of 2026-03-01T06:00:00Z      the status at that time
  vnsync status --output json | jq '.accounts[] | {account_id, age_seconds}'
  vnsync status --output prometheus > vnsync.new && mv vnsync.new vnsync.prom

Exit codes: 0 fresh enough; with --fail the code of the last run's failure (3, 77, ...) while an
account is failed or held; 75 an account was last synced longer ago than --max-age, or never;
78 no such warehouse. A customer that has left is shown as left and does not count.
"""


@click.command(epilog=EPILOG, short_help="How fresh each account is; exit 75 for monitors.")
@click.option("--max-age", type=Duration(), metavar="AGE", help="Exit 75 if an account's data is older: 90m, 26h, 3d.")
@click.option("--fail", is_flag=True, help="Exit with the last run's code while an account is failed or held.")
@reading.as_of()
@options.output_or_metrics
@options.brief
@options.settings(*options.DATABASE, *options.LOG)
def status(
    loaded: Loaded, max_age: timedelta | None, fail: bool, as_of: datetime | None, output: str, brief: bool
) -> int:
    """Show the last sync of each account, the age of its data, and what is missing in it."""
    from etl.read.status import stale

    state = current_state()
    if output == "prometheus" and as_of is not None:
        raise click.UsageError("--output prometheus tells the present: leave --as-of out")
    read = _read_metrics(loaded) if output == "prometheus" else None
    found = reading.read_status_of(loaded, as_of, "--as-of") if read is None else read.status
    late = stale(found.accounts, max_age) if max_age else []
    error = (_failed(found) if fail else None) or _too_old(loaded, found, late, max_age)
    state.outcome = error.exit_code if error else 0
    if read is not None:
        _write_metrics(read, late, brief)
    elif output == "json":
        _write_json(found, late, brief)
    else:
        _write(loaded, found, late)
    if error:
        raise error
    return 0


def _read_metrics(loaded: Loaded) -> Monitoring:
    """The figures for Prometheus, now; sums of no accounts when the warehouse exists and has no tables yet."""
    from etl.clock import SystemClock
    from etl.read.monitoring import Monitoring, read_monitoring
    from etl.store import migrations

    now = SystemClock().now()
    engine = reading.existing(loaded)
    if reading.is_without_tables(engine):
        return Monitoring(read_at=now)
    migrations.check(engine)
    return read_monitoring(engine, now)


def _failed(found: Status) -> VnsyncError | None:
    """Error for a monitor that describes the last failure; None if no account is failed or held."""
    from etl.read.status import failure_code
    from etl.report.freshness import failure_sentence

    code = failure_code(found)
    return with_exit_code(code, *failure_sentence(found)) if code else None


def _too_old(loaded: Loaded, found: Status, late: list[AccountState], max_age: timedelta | None) -> TryLater | None:
    from etl.cli.connect import warehouse_name
    from etl.report.freshness import stale_sentence

    if max_age is None:
        return None
    if not found.accounts:
        cause = f"no account was ever synced into {warehouse_name(loaded)}"
        return TryLater(cause, remedy="Run `vnsync sync`, or correct --database-url.")
    if not late:
        return None
    cause = stale_sentence(late, max_age.total_seconds())
    return TryLater(cause, remedy="Check that the schedule still runs; `vnsync status` shows how the last run ended.")


def _write_json(found: Status, late: list[AccountState], brief: bool) -> None:
    from etl.cli.output import write_json
    from etl.report.brief import of_status
    from etl.report.freshness import facts

    write_json(of_status(found, frozenset(a.account_id for a in late)) if brief else facts(found))


def _write_metrics(read: Monitoring, late: list[AccountState], brief: bool) -> None:
    from etl.cli.output import write_utf8
    from etl.report.metrics import gauges
    from etl.report.prometheus import exposition

    write_utf8(exposition(gauges(read, frozenset(a.account_id for a in late), shortened=brief)))


def _write(loaded: Loaded, found: Status, late: list[AccountState]) -> None:
    from etl.cli.connect import warehouse_name
    from etl.cli.output import write_line, write_table
    from etl.report.freshness import accounts_table, advice, doubts, run_line

    if found.accounts:
        write_table(accounts_table(found.accounts, frozenset(a.account_id for a in late)))
    else:
        write_line(
            f"No account was ever synced into {warehouse_name(loaded)}. Run `vnsync sync`, or try `vnsync demo`."
        )
    for sentence in (*advice(found.accounts), *doubts(found.accounts)):
        write_line(sentence)
    if found.last_run:
        write_line(run_line(found.last_run, found.accounts))
