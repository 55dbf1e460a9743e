"""Prefect: a flow that syncs an agency in shards side by side, and proves the history.

python prefect_fleet.py
"""

import json
import subprocess

from prefect import flow, get_run_logger, task
from prefect.states import State

SHARDS = 2
PASSING = (69, 75)


def vnsync(*words: str) -> tuple[int, dict]:
    """Run a command of vnsync: its exit code and its JSON object."""
    done = subprocess.run(["vnsync", *words, "--output", "json"], stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def may_pass(_task: object, _run: object, state: State) -> bool:
    """Whether another try is worth it: only after the exit codes that may pass by themselves."""
    return str(state.result(raise_on_failure=False)).startswith(tuple(f"exit {code}" for code in PASSING))


@task(retries=5, retry_delay_seconds=120, retry_condition_fn=may_pass, task_run_name="sync {shard}")
def sync(shard: str) -> int:
    """Sync one shard; another try leaves out what the last one published."""
    code, told = vnsync("sync", "--shard", shard, "--older-than", "6h", "--share-points", "yes", "--brief")
    if code:
        raise RuntimeError(f"exit {code}: {told['error']['message']}")
    return told["published"]


@flow(log_prints=True)
def vnsync_fleet() -> None:
    """Sync all shards at once, then prove."""
    published = sync.map([f"{number}/{SHARDS}" for number in range(1, SHARDS + 1)]).result()
    code, told = vnsync("verify")
    get_run_logger().info("%s accounts published, verify ended with %s", sum(published), code)
    assert not code, told["error"]["message"]


if __name__ == "__main__":
    vnsync_fleet()
