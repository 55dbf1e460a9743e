"""Lineage events of `sync`, as OpenLineage's own client reads them: to a file, to a server, and never in the way."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import inspect, make_url

from etl.cli import outbox
from etl.domain.tables import TABLES
from etl.errors import Unavailable
from etl.store.engine import open_warehouse
from tests.support.monitor import Monitor, listening
from tests.support.openlineage import OWN, read
from tests.support.running import Run, Source, command, environment

RUN = "01941f29-7c00-7087-8940-40e512bd361e"
KEY = "lineage-api-key-0123456789"
FILE = Path("lineage.ndjson")


@pytest.fixture(autouse=True)
def no_other_variables(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the machine are not for these tests."""
    for name in ("URL", "ENDPOINT", "API_KEY", "NAMESPACE", "PARENT_ID", "DISABLED"):
        monkeypatch.delenv(f"OPENLINEAGE_{name}", raising=False)


@pytest.fixture
def server() -> Iterator[Monitor]:
    """A server of lineage."""
    with listening() as one:
        yield one


def events(path: Path = FILE) -> list[dict[str, Any]]:
    """The events of the file, each read by the client."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for event in found:
        read(event)
    return found


def rows_written(event: dict[str, Any]) -> dict[str, int]:
    """Rows by the last part of the output's name."""
    return {
        one["name"].rpartition(".")[2]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in event["outputs"]
    }


def test_start_and_complete(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """Two events of one run: the listing it reads, all tables it writes, how many rows, and which run it is."""
    run = vnsync(
        "sync", "--openlineage-file", FILE, "--output", "json", "--database-url", warehouse_url, *agency.options
    ).json
    start, complete = events()
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert start["eventTime"] < complete["eventTime"]
    assert complete["job"]["namespace"] == "default"
    (source,) = complete["inputs"]
    assert (source["namespace"], source["name"]) == (agency.url.rpartition("/")[0], "get.virtual_numbers")
    names = {name for table in TABLES for name in (table.name, f"{table.name}_closed")}
    assert [o["name"] for o in start["outputs"]] == [o["name"] for o in complete["outputs"]]
    assert rows_written(complete).keys() == names
    assert rows_written(complete)["virtual_numbers"] == 35
    assert rows_written(complete)["virtual_numbers_closed"] == 0
    own = complete["run"]["facets"][OWN]
    assert (own["runId"], own["exitCode"], own["accounts"], own["published"]) == (run["run_id"], 0, 2, 2)
    assert FILE.stat().st_mode & 0o777 == 0o600


def test_names_and_schemas_are_those_of_the_database(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """By OpenLineage's naming for PostgreSQL, by the file for SQLite; columns as in the database."""
    assert vnsync("sync", "--openlineage-file", FILE, "--database-url", warehouse_url, *agency.options).code == 0
    engine = open_warehouse(warehouse_url)
    output = next(o for o in events()[0]["outputs"] if o["name"].endswith("virtual_number_scenarios_closed"))
    database = make_url(warehouse_url).database
    if engine.dialect.name == "postgresql":
        assert output["namespace"] == "postgres://localhost:5432"
        assert output["name"] == f"{database}.public.virtual_number_scenarios_closed"
    else:
        assert (output["namespace"], output["name"]) == (f"sqlite://{database}", "virtual_number_scenarios_closed")
    there = inspect(engine).get_columns("virtual_number_scenarios_closed")
    told = {field["name"]: field["type"] for field in output["facets"]["schema"]["fields"]}
    assert list(told) == [column["name"] for column in there]
    kinds = {name: kind.split(" ")[0].split("(")[0] for name, kind in told.items()}
    assert kinds == {c["name"]: str(c["type"].compile(engine.dialect)).lower().split(" ")[0] for c in there}


def test_column_lineage(agency: Source, vnsync: Run) -> None:
    """Each column of the declaration has its field of the listing, which the listing's schema has, too."""
    assert vnsync("sync", "--openlineage-file", FILE, *agency.options).code == 0
    complete = events()[-1]
    (source,) = complete["inputs"]
    fields = {field["name"] for field in source["facets"]["schema"]["fields"]}
    lineage = {o["name"]: o["facets"]["columnLineage"]["fields"] for o in complete["outputs"]}
    for table in TABLES:
        assert lineage[table.name].keys() == {column.name for column in table.columns}
        assert lineage[f"{table.name}_closed"] == lineage[table.name]
        for column in lineage[table.name].values():
            (one,) = column["inputFields"]
            assert (one["namespace"], one["name"]) == (source["namespace"], source["name"])
            assert one["field"] in fields or one["field"].endswith("*")
    assert lineage["virtual_numbers"]["virtual_number_id"]["inputFields"][0]["field"] == "id"
    assert lineage["campaigns"]["campaign_name"]["inputFields"][0]["field"] == "campaigns[].campaign_name"


def test_a_later_day_tells_what_it_closed(agency: Source, vnsync: Run) -> None:
    """Rows by table; the file is added to."""
    words = ("sync", "--openlineage-file", FILE, *agency.options)
    assert vnsync(*words).code == 0
    customer = agency.world.customer_ids[0]
    agency.world.edit(customer, agency.world.numbers(customer)[0], comment="changed")
    assert vnsync(*words).code == 0
    told = events()
    assert [event["eventType"] for event in told] == ["START", "COMPLETE"] * 2
    assert len({event["run"]["runId"] for event in told}) == 2
    written = rows_written(told[-1])
    assert (written["virtual_numbers"], written["virtual_numbers_closed"]) == (1, 1)
    assert sum(written.values()) == 2


def test_fail_has_the_cause(agency: Source, vnsync: Run) -> None:
    """One account failed and another was published: FAIL with the error line, and the published rows."""
    agency.world.block(agency.world.customer_ids[1], "forbidden")
    done = vnsync("sync", "--openlineage-file", FILE, *agency.options)
    event = events()[-1]
    message = event["run"]["facets"]["errorMessage"]["message"]
    assert (done.code, event["eventType"]) == (3, "FAIL")
    assert "forbidden" in message
    assert message[:60] in done.err
    assert rows_written(event)["virtual_numbers"] == 30
    assert event["run"]["facets"][OWN]["published"] == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [(("--api-token-file", "none"), 78), (("--database-url", "postgresql://u@127.0.0.1:1/d"), 69)],
)
def test_what_ends_it_early_is_told(agency: Source, vnsync: Run, options: tuple[str, ...], code: int) -> None:
    """START and FAIL, without tables, because the database could not be asked."""
    assert vnsync("sync", "--openlineage-file", FILE, *agency.options, *options).code == code
    start, fail = events()
    assert (start["eventType"], fail["eventType"], fail["outputs"]) == ("START", "FAIL", [])
    assert fail["run"]["facets"][OWN]["exitCode"] == code
    assert fail["run"]["facets"]["errorMessage"]["message"]


def test_to_a_server(agency: Source, vnsync: Run, server: Monitor) -> None:
    """By the variables of OpenLineage: address, key, namespace and the run that started this one."""
    done = vnsync(
        "sync",
        *agency.options,
        OPENLINEAGE_URL=server.url,
        OPENLINEAGE_API_KEY=KEY,
        OPENLINEAGE_NAMESPACE="marketing",
        OPENLINEAGE_PARENT_ID=f"airflow/fleet.sync/{RUN}",
    )
    assert (done.code, server.paths) == (0, ["/api/v1/lineage"] * 2)
    for _, headers, body in server.told:
        event = json.loads(body)
        read(event)
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["content-type"].startswith("application/json")
        assert event["job"]["namespace"] == "marketing"
        parent = event["run"]["facets"]["parent"]
        assert parent["run"] == {"runId": RUN}
        assert parent["job"] == {"namespace": "airflow", "name": "fleet.sync"}
        UUID(event["run"]["runId"])


def test_a_refused_event_is_a_notice(agency: Source, vnsync: Run, server: Monitor) -> None:
    """The run's outcome is unchanged; the key is in no output."""
    server.status = 403
    done = vnsync("sync", "-v", *agency.options, OPENLINEAGE_URL=server.url, OPENLINEAGE_API_KEY=KEY)
    assert done.code == 0
    assert done.err.count("an event to OPENLINEAGE_URL was not delivered: the answer was HTTP 403") == 1
    assert KEY not in done.out + done.err


def test_a_server_that_hangs_delays_little(
    agency: Source, vnsync: Run, server: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the limit the command ends as it would have ended."""
    monkeypatch.setattr(outbox, "LIMIT", 0.2)
    server.open.clear()
    done = vnsync("sync", *agency.options, OPENLINEAGE_URL=server.url)
    assert (done.code, "not delivered" in done.err) == (0, True)


@pytest.mark.parametrize("kind", ["folder", "missing folder"])
def test_a_file_that_cannot_be_written_is_a_notice(agency: Source, vnsync: Run, kind: str, clean: Path) -> None:
    """Neither does it end the sync."""
    where = clean if kind == "folder" else clean / "none" / "f"
    done = vnsync("sync", "--openlineage-file", where, *agency.options)
    assert (done.code, "an event to VNSYNC_OPENLINEAGE_FILE was not delivered" in done.err) == (0, True)


def test_variables_that_cannot_be_used_are_notices(agency: Source, vnsync: Run) -> None:
    """Two lines, once; the events go to the file."""
    variables = {"OPENLINEAGE_URL": "marquez:5000", "OPENLINEAGE_PARENT_ID": "a/b/c"}
    done = vnsync("sync", "--openlineage-file", FILE, *agency.options, **variables)
    assert done.code == 0
    assert len([line for line in done.err.splitlines() if "is not used" in line]) == 2
    assert len(events()) == 2


def test_tables_that_cannot_be_named_are_a_notice(agency: Source, vnsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events have no outputs then, and the sync goes on."""

    def broken(_: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr("etl.store.datasets.datasets", broken)
    done = vnsync("sync", "--openlineage-file", FILE, *agency.options)
    assert (done.code, "the tables are missing in the lineage: Unavailable" in done.err) == (0, True)
    assert [(event["eventType"], event["outputs"]) for event in events()] == [("START", []), ("COMPLETE", [])]


def test_each_beat_is_a_run(agency: Source) -> None:
    """`sync --every`: START and COMPLETE for each, with ids of their own."""
    words = command("sync", "--every", "1s", "--openlineage-file", FILE, *agency.options)
    with subprocess.Popen(
        words, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as staying:
        assert staying.stdout is not None
        for _ in range(2):
            staying.stdout.readline()
        staying.send_signal(signal.SIGTERM)
        staying.communicate(timeout=60)
    told = events()
    assert [event["eventType"] for event in told[:4]] == ["START", "COMPLETE"] * 2
    assert {event["eventType"] for event in told[4:]} <= {"START", "ABORT"}
    assert len({event["run"]["runId"] for event in told[:4]}) == 2
    assert all(len(event["outputs"]) == 2 * len(TABLES) for event in told)


def test_nothing_is_imported_or_written_unasked(agency: Source, vnsync: Run, clean: Path) -> None:
    """Without a file and a URL there are no events."""
    assert vnsync("sync", *agency.options, OPENLINEAGE_NAMESPACE="n").code == 0
    assert not (clean / FILE).exists()
