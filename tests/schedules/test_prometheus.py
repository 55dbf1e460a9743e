"""Alerts, dashboard and collector of `schedules/prometheus/`, judged by promtool, systemd and PostgreSQL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, Row

from etl.domain.runs import AccountStatus
from etl.extract.ledger import DayPoints
from etl.read.monitoring import Monitoring
from etl.read.status import AccountState, LastRun, Status
from etl.report.metrics import gauges
from etl.report.prometheus import Gauge
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.support import pages
from tests.support.checkout import ROOT
from tests.support.databases import new_database
from tests.support.metrics import figure, parsed
from tests.support.rig import Rig
from tests.support.running import command
from tests.support.tools import required

FOLDER = ROOT / "schedules" / "prometheus"
ALERTS, ALERTS_TEST = FOLDER / "vnsync-alerts.yml", FOLDER / "vnsync-alerts-test.yml"
SERVICE, TIMER = FOLDER / "vnsync-metrics.service", FOLDER / "vnsync-metrics.timer"
DASHBOARD = FOLDER / "vnsync-dashboard.json"
PAGE = ROOT / "docs" / "monitoring.md"
COLLECTOR = "/var/lib/prometheus/node-exporter"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def promtool() -> str:
    return required("promtool", "prometheus")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60, check=False)


# -- alerts


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_promtool_accepts_the_rules_and_their_tests_pass(promtool: str) -> None:
    """Each alert fires when it has to, and not before."""
    checked = run(promtool, "check", "rules", ALERTS)
    assert checked.returncode == 0, checked.stderr
    tested = run(promtool, "test", "rules", ALERTS_TEST)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("old", "new"), [("26 * 3600", "27 * 3600"), ("held|failed", "held"), ("> 2 * 3600", "> 3 * 3600")]
)
def test_a_weakened_rule_fails_the_tests(promtool: str, tmp_path: Path, old: str, new: str) -> None:
    """Each expression is tried by a test of its own."""
    content = ALERTS.read_text(encoding="utf-8")
    assert old in content
    (tmp_path / ALERTS.name).write_text(content.replace(old, new))
    shutil.copy(ALERTS_TEST, tmp_path)
    assert run(promtool, "test", "rules", tmp_path / ALERTS_TEST.name).returncode != 0


def everything() -> list[Gauge]:
    """All families that `status --output prometheus` can write."""
    state = AccountState(account_id=1, status=AccountStatus.SUCCEEDED.value, observed_at=NOON, last_run_id=1)
    last = LastRun(run_id=1, status="succeeded", started_at=NOON, finished_at=NOON, exit_code=0, error=None)
    status, points = Status(accounts=(state,), last_run=last), {"key:1": DayPoints(1, 2, 3.0)}
    found = Monitoring(read_at=NOON, status=status, last_success=NOON, points=points)
    families = list(gauges(found, frozenset(), shortened=False))
    assert all(gauge.samples for gauge in families)
    return families


def test_every_metric_of_a_rule_exists() -> None:
    """The names are those that `status --output prometheus` writes."""
    written = {gauge.name for gauge in everything()}
    asked = {name for rule in rules() for name in re.findall(r"vnsync_\w+", rule["expr"])}
    assert len(rules()) == 3
    assert asked <= written
    assert len(asked) == 4


# -- the dashboard


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def variable(name: str) -> dict[str, Any]:
    listed = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
    return next(one for one in listed if one["name"] == name)


def filled_in(sql: str, begin: str, end: str, accounts: str) -> str:
    """The statement as Grafana sends it: its macros, whose arguments end at the first bracket, and its variable."""
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 between '{begin}' and '{end}'", sql)
    grouped = r'floor(extract(epoch from \1) / 86400) * 86400 as "time"'
    sql = re.sub(r"\$__timeGroupAlias\(([^,)]*), '1d'\)", grouped, sql)
    sql = sql.replace("${account}", accounts)
    assert "$" not in sql
    return sql


@pytest.fixture(scope="module")
def agency(postgresql_server: str) -> Rig:
    """Three days of an agency in PostgreSQL: one customer is held, one has moved a number, one record is unusable."""
    engine = open_warehouse(new_database(postgresql_server, "dashboard"))
    migrations.upgrade(engine)
    plans = [CustomerPlan(numbers=n, name=f"Customer {n}") for n in (40, 20, 10)]
    rig = Rig(World(seed=3, customers=plans), engine)
    first, second, third = rig.world.customer_ids
    rig.sync()
    number = rig.world.numbers(second)[0]
    rig.world.move(second, number, None)
    rig.world.put_raw(third, rig.world.numbers(third)[0], b'{"id": "no number"}')
    rig.sync()
    for one in rig.world.numbers(first)[:30]:
        rig.world.remove(first, one)
    rig.sync()
    return rig


@pytest.fixture
def answers(agency: Rig) -> Callable[[str], list[Row[Any]]]:
    """The rows of a panel by its title, for the last thirty days and all accounts."""
    now = agency.clock.now()
    begin, end = ((now + timedelta(days=d)).strftime("%Y-%m-%dT%H:%M:%SZ") for d in (-30, 1))

    def ask(title: str) -> list[Row[Any]]:
        (panel,) = [one for one in panels() if one["title"] == title]
        (target,) = panel["targets"]
        return agency.rows(filled_in(target["rawSql"], begin, end, variable("account")["allValue"]))

    return ask


def test_each_panel_answers(agency: Rig, answers: Callable[[str], list[Row[Any]]]) -> None:
    """Every query of the dashboard runs on PostgreSQL and shows something of these three days."""
    assert len(panels()) == 9
    assert [one["title"] for one in panels() if not answers(one["title"])] == []
    accounts = agency.rows(variable("account")["query"])
    assert [(row.__value, row.__text) for row in accounts] == sorted(
        ((i, name) for i, name in agency.rows("select account_id, account_name from accounts")), key=lambda r: r[1]
    )
    (one,) = [str(row[0]) for row in accounts[:1]]
    sql = next(p for p in panels() if p["title"] == "Last changes of campaigns")["targets"][0]["rawSql"]
    chosen = agency.rows(filled_in(sql, "2000-01-01", "2100-01-01", f"'{one}'"))
    assert {str(row.account_id) for row in chosen} == {one}


def test_panels_tell_the_truth(agency: Rig, answers: Callable[[str], list[Row[Any]]]) -> None:
    """What is held and in quarantine, and the number that lost its campaigns."""
    first, second, third = agency.world.customer_ids
    assert answers("Failed or held")[0].accounts == 1
    assert answers("In quarantine")[0].records == 1
    assert answers("Numbers")[0].numbers == 70
    assert float(answers("Oldest observation")[0].age) > 0
    needing = {row.account_id: row.status for row in answers("Accounts that need attention")}
    assert needing == {first: "held", third: "succeeded"}
    assert [row.status for row in answers("Last runs")] == ["partial", "partial", "succeeded"]
    assert second in {row.account_id for row in answers("Last changes of campaigns") if row.change == "ends"}
    listed = [row for row in answers("Numbers that the source listed") if row.metric == "Customer 20"]
    assert [row.value for row in listed] == [20, 20, 20]
    assert len(answers("Rows opened and closed")) == 3


def test_every_panel_has_a_title_a_kind_and_a_place() -> None:
    """Ids are unique, panels do not overlap, and each asks the chosen warehouse."""
    assert len({one["id"] for one in panels()}) == len(panels())
    cells = [
        (x, y)
        for one in panels()
        for x in range(one["gridPos"]["x"], one["gridPos"]["x"] + one["gridPos"]["w"])
        for y in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert {one["targets"][0]["datasource"]["uid"] for one in panels()} == {"${datasource}"}


# -- the collector's file


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, and rates the service as it does `vnsync.service`."""
    analyze, program = required("systemd-analyze", "systemd"), shutil.which("true")
    content = SERVICE.read_text(encoding="utf-8")
    (tmp_path / SERVICE.name).write_text(content.replace("/opt/vnsync/bin/vnsync", str(program)))
    shutil.copy(TIMER, tmp_path)
    environment = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    words = [analyze, "verify", str(tmp_path / SERVICE.name), str(tmp_path / TIMER.name)]
    checked = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    rated = run(analyze, "security", "--offline=yes", "--no-pager", "--threshold=13", tmp_path / SERVICE.name)
    assert rated.returncode == 0, rated.stdout


def test_the_service_replaces_the_file_whole() -> None:
    """It writes a file that node_exporter does not read, and renames it in the same folder after success."""
    lines = SERVICE.read_text(encoding="utf-8").splitlines()
    file = f"{COLLECTOR}/vnsync.prom"
    assert "ExecStart=/opt/vnsync/bin/vnsync status --output prometheus" in lines
    assert f"StandardOutput=truncate:{file}.new" in lines
    assert f"ExecStartPost=+/bin/mv {file}.new {file}" in lines


def test_the_page_s_command_replaces_the_file_whole(tmp_path: Path, sqlite_warehouse: Engine) -> None:
    """The shell's lines of docs/monitoring.md, run: the file is there, readable for others; a failure leaves it."""
    Rig(World(seed=1, customers=[CustomerPlan(numbers=3)], role="customer"), sqlite_warehouse).sync()
    script = next(t for language, t in pages.blocks(PAGE) if language == "sh" and "status --output prometheus" in t)
    assert COLLECTOR in script
    program = tmp_path / "vnsync"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(command())} "$@"\n')
    program.chmod(0o755)
    script = script.replace(COLLECTOR, str(tmp_path)).replace("vnsync status", f"{program} status")

    def collected(url: str) -> int:
        environment = {"VNSYNC_DATABASE_URL": url, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-c", script], env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=False
        )
        return done.returncode

    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    assert collected(url) == 0
    file = tmp_path / "vnsync.prom"
    before = file.read_text(encoding="utf-8")
    assert figure(parsed(before), "numbers") == 3
    assert file.stat().st_mode & 0o777 == 0o644
    assert collected(f"sqlite:///{tmp_path / 'none.db'}") == 78
    assert file.read_text(encoding="utf-8") == before


def test_the_page_names_every_file() -> None:
    """docs/monitoring.md describes each file of the folder."""
    page = PAGE.read_text(encoding="utf-8")
    assert [path.name for path in FOLDER.iterdir() if f"{path.name}`" not in page] == []


def test_the_page_lists_every_metric() -> None:
    """Its tables have a row for each family, with its labels, and no other."""
    written = {gauge.name: set(gauge.samples[0][0]) for gauge in everything()}
    rows = re.findall(r"^\| `(vnsync_\w+)(?:\{([\w, ]+)\})?`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: {one.strip() for one in labels.split(",")} - {""} for name, labels in rows} == written
