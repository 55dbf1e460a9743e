"""Sync an agency every night: discover its accounts, sync them in shards side by side, tell, prove.

Airflow 3.1 or later. vnsync lives in an environment of its own (README.md); this file needs Airflow alone.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException
from airflow.sdk import Asset, Metadata, TriggerRule, dag, task

VNSYNC = os.environ.get("AIRFLOW_VNSYNC_PROGRAM", "/opt/vnsync/bin/vnsync")
ACCOUNTS_OF_A_SHARD, MOST_SHARDS = 250, 16
POOL = "vnsync"
"""Pool whose slots are the processes at once; all of them share one budget of API points."""
WAREHOUSE = Asset("vnsync_warehouse", uri="x-vnsync://warehouse")
PASSING = frozenset({69, 75})
"""Exit codes after which another try is worth it; the others need a person (README.md, "Exit codes")."""
LONGEST_WAIT = timedelta(hours=12)


def vnsync(*words: str) -> dict[str, Any]:
    """Run a command of vnsync. Returns its JSON object; its exit code decides whether the task is tried again."""
    command = [VNSYNC, *words, "--output", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if done.returncode == 0:
        return told
    error = told.get("error") or {}
    message = f"vnsync {words[0]}: {error.get('message')}. {error.get('remedy')} (exit {done.returncode})"
    if done.returncode not in PASSING:
        raise AirflowFailException(message)
    wait = timedelta(seconds=error.get("retry_after_seconds") or 0)
    if timedelta(0) < wait <= LONGEST_WAIT:
        print(message)  # noqa: T201 - the task's log
        raise AirflowRescheduleException(datetime.now(UTC) + wait)
    raise AirflowException(message)


@dag(
    schedule="17 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["vnsync"],
    default_args={"retries": 5, "retry_delay": timedelta(minutes=2), "retry_exponential_backoff": True},
)
def vnsync_fleet() -> None:
    """Discover, sync in shards, tell how it went, prove, and fail if a shard failed."""

    @task
    def discover() -> list[str]:
        """The shards that the token's accounts are synced in: one for each 250 accounts."""
        accounts = vnsync("accounts", "--quick")["accounts"]
        count = min(MOST_SHARDS, max(1, math.ceil(len(accounts) / ACCOUNTS_OF_A_SHARD)))
        return [f"{number}/{count}" for number in range(1, count + 1)]

    @task(pool=POOL, execution_timeout=timedelta(hours=6), max_active_tis_per_dagrun=MOST_SHARDS)
    def sync(shard: str) -> dict[str, Any]:
        """Sync one shard; another try leaves out what the last one published."""
        told = vnsync("sync", "--shard", shard, "--older-than", "6h", "--share-points", "yes", "--brief")
        return {name: told[name] for name in ("run_id", "status", "published")}

    @task(trigger_rule=TriggerRule.ALL_DONE, outlets=[WAREHOUSE])
    def status() -> Iterator[Metadata]:
        """Tell those who wait for the warehouse how old its data is, also when a shard has failed."""
        told = vnsync("status", "--brief")
        yield Metadata(WAREHOUSE, {"sums": told["sums"], "last_run": told["last_run"]})

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def verify() -> int:
        """Prove that the warehouse still says what the syncs wrote."""
        return len(vnsync("verify")["accounts"])

    @task
    def all_published() -> None:
        """The leaf that decides about the run: it is not reached when a shard or the proof has failed."""

    shards = sync.expand(shard=discover())
    told, proved = status(), verify()
    shards >> told >> proved
    [shards, proved] >> all_published()


vnsync_fleet()
