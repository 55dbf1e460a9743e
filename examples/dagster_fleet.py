"""Dagster: an asset with a partition for each shard, and a check that proves the history.

python -c "import dagster_fleet as d; d.materialize_all()"; or `dagster dev -f dagster_fleet.py`.
"""

import json
import subprocess

import dagster as dg

SHARDS = dg.StaticPartitionsDefinition(["1_of_2", "2_of_2"])


def vnsync(*words: str) -> dict:
    """Run a command of vnsync; exit codes 69 and 75 are worth another try, the others need a person."""
    done = subprocess.run(["vnsync", *words, "--output", "json"], stdout=subprocess.PIPE, text=True, check=False)
    told = json.loads(done.stdout)
    if done.returncode:
        raise dg.Failure(told["error"]["message"], allow_retries=done.returncode in (69, 75))
    return told


@dg.asset(partitions_def=SHARDS, retry_policy=dg.RetryPolicy(max_retries=5, delay=120), pool="vnsync")
def virtual_numbers(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The numbers of one shard, with their history."""
    shard = context.partition_key.replace("_of_", "/")
    told = vnsync("sync", "--shard", shard, "--older-than", "6h", "--share-points", "yes", "--brief")
    return dg.MaterializeResult(metadata={"published": told["published"], "run_id": str(told["run_id"])})


@dg.asset_check(asset=virtual_numbers)
def proved() -> dg.AssetCheckResult:
    """Whether the warehouse still says what the syncs wrote."""
    return dg.AssetCheckResult(passed=not vnsync("verify")["problems"])


defs = dg.Definitions(assets=[virtual_numbers], asset_checks=[proved])


def materialize_all() -> None:
    """Materialize every shard, then check, in this process."""
    for shard in SHARDS.get_partition_keys():
        assert dg.materialize([virtual_numbers, proved], partition_key=shard).success
