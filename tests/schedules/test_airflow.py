"""The Airflow DAG, run for real on a sandbox: `make soak` makes the environment that it needs.

Airflow's dependencies exclude some of vnsync's, so it lives in `.venv-airflow`, as it does for those who use it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from etl.sandbox.world import CustomerPlan, World
from tests.schedules.test_schedules import NEEDS_A_PERSON, TRY_AGAIN
from tests.support.checkout import ROOT
from tests.support.running import Source, listening

DAG = ROOT / "schedules" / "airflow" / "vnsync_fleet.py"
AIRFLOW = ROOT / ".venv-airflow" / "bin"
TRIAL = """
import sys
sys.path.insert(0, {folder!r})
import vnsync_fleet
vnsync_fleet.ACCOUNTS_OF_A_SHARD = 2
run = vnsync_fleet.vnsync_fleet().test()
states = {{f"{{t.task_id}}[{{t.map_index}}]": str(t.state) for t in run.get_task_instances()}}
print("ENDED", str(run.state), sorted(states.items()))
"""


def test_what_is_tried_again_is_what_may_pass() -> None:
    """The codes that the DAG retries are those of the other schedules, and no command has a key in its arguments."""
    text = DAG.read_text()
    found = re.search(r"PASSING = frozenset\(\{([\d, ]+)\}\)", text)
    assert found is not None
    assert {int(code) for code in found[1].split(",")} == TRY_AGAIN
    assert not TRY_AGAIN & NEEDS_A_PERSON
    assert "token" not in text.replace("the token's", "").replace("API points", "")


@pytest.fixture
def airflow(tmp_path: Path) -> Path:
    """The interpreter that has Airflow, with an empty home of its own."""
    if not AIRFLOW.is_dir():
        pytest.skip("there is no .venv-airflow: `make soak` makes it")
    return AIRFLOW / "python"


@pytest.fixture
def agency(tmp_path: Path) -> object:
    """A sandbox of five customers."""
    yield from listening(World(seed=2, customers=[CustomerPlan(numbers=3)] * 5, id_step=5), tmp_path)


def _run(airflow: Path, agency: Source, folder: Path) -> tuple[str, dict[str, str]]:
    """State of a run of the DAG, and of its tasks."""
    url, token = agency.options[1], agency.options[3]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VNSYNC_")} | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent),
        "AIRFLOW_VNSYNC_PROGRAM": str(Path(sys.executable).parent / "vnsync"),
        "VNSYNC_API_URL": url,
        "VNSYNC_API_TOKEN_FILE": token,
        "VNSYNC_DATABASE_URL": f"sqlite:///{folder / 'fleet.db'}",
    }
    subprocess.run([airflow.parent / "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    trial = TRIAL.format(folder=str(DAG.parent))
    done = subprocess.run([airflow, "-c", trial], env=environment, capture_output=True, text=True, check=False)
    ended = next(line for line in done.stdout.splitlines() if line.startswith("ENDED"))
    return ended.split()[1], dict(re.findall(r"\('([^']+)', '([^']+)'\)", ended))


@pytest.mark.soak
def test_the_dag_syncs_the_fleet_in_shards(airflow: Path, agency: Source, tmp_path: Path) -> None:
    """Three shards for five customers, status, proof and leaf: all succeed, and each customer is listed once."""
    state, tasks = _run(airflow, agency, tmp_path)
    assert state == "success"
    names = ("discover[-1]", "sync[0]", "sync[1]", "sync[2]", "status[-1]", "verify[-1]", "all_published[-1]")
    assert tasks == dict.fromkeys(names, "success")
    assert agency.api.count("get.virtual_numbers") == 5


@pytest.mark.soak
def test_a_shard_that_fails_fails_the_run_and_nothing_else(airflow: Path, agency: Source, tmp_path: Path) -> None:
    """A customer out of reach: its shard is not tried again, the others publish, status and proof are made."""
    agency.world.block(agency.world.customer_ids[0], "forbidden")
    state, tasks = _run(airflow, agency, tmp_path)
    assert state == "failed"
    shards = [tasks[f"sync[{n}]"] for n in range(3)]
    assert sorted(shards) == ["failed", "success", "success"]
    assert (tasks["status[-1]"], tasks["verify[-1]"]) == ("success", "success")
    assert tasks["all_published[-1]"] == "upstream_failed"


ASKED = """
import sys
sys.path.insert(0, {folder!r})
import vnsync_fleet
vnsync_fleet.VNSYNC = {program!r}
try:
    print(vnsync_fleet.vnsync("sync"))
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("code", "seconds", "raised"),
    [
        (75, 3600, "AirflowRescheduleException"),
        (75, 90_000, "AirflowException"),
        (75, None, "AirflowException"),
        (69, None, "AirflowException"),
        (3, None, "AirflowFailException"),
        (77, 60, "AirflowFailException"),
    ],
)
def test_exit_codes_decide_about_another_try(
    airflow: Path, tmp_path: Path, code: int, seconds: int | None, raised: str
) -> None:
    """What is told with a time is put off until then; what may pass is tried again; the rest fails at once."""
    program = tmp_path / "vnsync"
    error = json.dumps({"error": {"message": "m", "remedy": "r", "retry_after_seconds": seconds}})
    program.write_text(f"#!/bin/sh\necho '{error}'\nexit {code}\n")
    program.chmod(0o755)
    asked = ASKED.format(folder=str(DAG.parent), program=str(program))
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    done = subprocess.run([airflow, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == raised
