"""B09: a schema edited by hand, on both databases: refused at the start of a run, explained by `vnsync doctor`."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from etl.store import schema_check
from etl.store.views import NAMES
from tests.support.fault_clusters import private
from tests.support.scenes import Scene, scene


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Gives the database, or the file, that has seen the first two days of every scene, to copy."""
    folder = tmp_path_factory.mktemp("two_days")

    @functools.cache
    def made(database: str) -> str:
        name = private().new_database() if database == "postgresql" else str(folder / "w.db")
        with scene(folder / "scene", private().url(name) if database == "postgresql" else f"sqlite:///{name}") as lived:
            lived.lives(2)
        return name

    return made


@pytest.fixture
def stage(database: str, two_days: Callable[[str], str], tmp_path: Path) -> Iterator[Scene]:
    """A warehouse with two synced days."""
    if database == "postgresql":
        url = private().url(private().new_database(like=two_days(database)))
    else:
        url = f"sqlite:///{shutil.copy(two_days(database), tmp_path / 'w.db')}"
    with scene(tmp_path / "scene", url) as made:
        made.goes_on(2)
        yield made


def edit(stage: Scene, *statements: str) -> None:
    """Execute an edit by hand, as with another tool."""
    with stage.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


EDITS = {
    "column_dropped": ("alter table virtual_numbers drop column comment", "virtual_numbers has no column comment"),
    "column_renamed": ("alter table campaigns rename column campaign_name to title", "no column campaign_name"),
    "history_column_renamed": ("alter table sites_closed rename column valid_to to until", "no column valid_to"),
    "index_dropped": ("drop index ix_campaigns_site_id", "ix_campaigns_site_id of campaigns is missing"),
    "unique_index_dropped": ("drop index ix_account_syncs_account_id_observed_at", "observed_at of account_syncs"),
    "table_dropped": ("drop table account_claims", "the table account_claims is missing"),
}
POSTGRESQL_EDITS = {
    "column_retyped": ("alter table sites alter column site_domain_name type varchar(99)", "is character varying(99)"),
    "time_retyped": ("alter table account_claims alter column run_id type integer", "is integer, not bigint"),
    "null_allowed": ("alter table accounts alter column first_run_id drop not null", "first_run_id may be null"),
    "primary_key_dropped": ("alter table scenarios drop constraint pk_scenarios", "pk_scenarios of scenarios"),
    "check_dropped": ("alter table sites_closed drop constraint ck_sites_closed_period", "ck_sites_closed_period"),
    "foreign_key_dropped": ("alter table account_syncs drop constraint fk_account_syncs_run_id", "fk_account_syncs"),
}
DEEP = {
    "index_on_other_columns": (
        ("drop index ix_campaigns_site_id", "create index ix_campaigns_site_id on campaigns (site_id)"),
        "index ix_campaigns_site_id was changed",
    ),
    "view_changed": (
        ("drop view changes", "create view changes as select account_id from accounts"),
        "view changes was changed",
    ),
}
POSTGRESQL_DEEP = {
    "trigger_that_eats_rows": (
        (
            "create function eat() returns trigger language plpgsql as 'begin return null; end'",
            "create trigger eater before insert on virtual_numbers_closed for each row execute function eat()",
        ),
        "trigger virtual_numbers_closed.eater is not vnsync's",
    ),
    "rule": (("create rule r as on delete to sites do instead nothing",), "rule sites.r is not vnsync's"),
    "checks_switched_off": (("alter table sites_closed disable trigger all",), "constraints of sites_closed are off"),
    "check_weakened": (
        (
            "alter table sites_closed drop constraint ck_sites_closed_period",
            "alter table sites_closed add constraint ck_sites_closed_period check (valid_to >= valid_from)",
        ),
        "constraint ck_sites_closed_period was changed",
    ),
}
SQLITE_DEEP = {
    "trigger_that_eats_rows": (
        ("create trigger eater before insert on sites_closed begin select raise(ignore); end",),
        "trigger eater is not vnsync's",
    ),
}


def cases(common: dict[str, tuple[Any, str]], own: dict[str, dict[str, tuple[Any, str]]]) -> list[object]:
    """Parameters (database, edit, message) with ids."""
    return [
        pytest.param(database, *case, id=f"{database}-{name}")
        for database in ("sqlite", "postgresql")
        for name, case in {**common, **own.get(database, {})}.items()
    ]


@pytest.mark.parametrize(("database", "statement", "says"), cases(EDITS, {"postgresql": POSTGRESQL_EDITS}))
@pytest.mark.fault("B09")
def test_hand_edit_is_refused_at_the_start(statement: str, says: str, stage: Scene) -> None:
    """A table that differs from the migrations: exit 70 before any request, also from `doctor`."""
    before = stage.rows("select * from virtual_numbers_closed")
    asked: list[object] = []
    edit(stage, *(f"drop view {name}" for name in reversed(NAMES)), statement)
    stage.api.after_request.append(asked.append)
    for arguments in (("sync",), ("doctor",)):
        asked.clear()
        done = stage.call(*arguments, *stage.source.options)
        if arguments == ("sync",):
            assert not asked
            line = stage.refused(done, 70)
            assert says in line
            assert "`vnsync doctor`" in line
        else:
            assert done.code == 70, done.out
    assert stage.rows("select * from virtual_numbers_closed") == before


@pytest.mark.parametrize(
    ("database", "statements", "says"),
    cases(DEEP, {"postgresql": POSTGRESQL_DEEP, "sqlite": SQLITE_DEEP}),
)
@pytest.mark.fault("B09")
def test_doctor_looks_deeper(statements: tuple[str, ...], says: str, stage: Scene) -> None:
    """A definition with the right name and another meaning is found by `vnsync doctor`, exit 70."""
    assert stage.call("doctor", *stage.source.options).code == 0
    edit(stage, *statements)
    done = stage.call("doctor", "--output", "json", *stage.source.options)
    assert done.code == 70
    found = [check["found"] for check in json.loads(done.out)["checks"] if check["check"] == "tables"]
    assert any(says in each for each in found), found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("B09")
def test_additions_are_left_alone(stage: Scene) -> None:
    """A user's own index, view or table is no damage: the sync succeeds, and `doctor` finds no problem."""
    edit(
        stage,
        "create index mine on virtual_numbers (status)",
        "create view my_view as select count(*) as numbers from virtual_numbers",
        "create table my_notes (id integer primary key, note text)",
    )
    stage.recovers()
    assert stage.call("doctor", *stage.source.options).code == 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("B09")
def test_lost_views_are_made_anew(stage: Scene) -> None:
    """Views hold no data: `sync` recreates them."""
    edit(stage, "drop view changes", "drop view number_assignments")
    stage.recovers()
    assert stage.rows("select count(*) from changes")[0][0] > 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("B09")
def test_second_open_row_cannot_be(stage: Scene) -> None:
    """A second open version of a number is refused by the database itself."""
    with pytest.raises(IntegrityError), stage.engine.begin() as connection:
        connection.execute(text("insert into virtual_numbers select * from virtual_numbers"))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("B09")
def test_extra_open_row_is_closed_with_proof(stage: Scene) -> None:
    """An open row that was added by hand for an unknown number is requested by id, and closed."""
    run_id = stage.rows("select max(run_id) from sync_runs")[0][0]
    account_id = stage.world.customer_ids[0]
    edit(
        stage,
        "insert into virtual_numbers (account_id, virtual_number_id, virtual_phone_number, valid_from, opened_run_id)"
        f" values ({account_id}, 999999999, '+0', '2020-01-01 00:00:00.000000', {run_id})",
    )
    stage.recovers()
    assert stage.rows("select closed_run_id from virtual_numbers_closed where virtual_number_id = 999999999")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("B09")
def test_start_check_is_cheap(stage: Scene) -> None:
    """The check before every run costs little compared with connecting, here and in the server."""
    engine, served = stage.engine, [0.0]

    def add_server(connection: Any, _record: object) -> None:
        if stage.engine.name == "postgresql":
            schedule = Path(f"/proc/{connection.info.backend_pid}/schedstat")
            served.append(int(schedule.read_text().split()[0]) / 1e9)

    def connect() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("select 1")

    def least(work: Callable[[], object]) -> float:
        took = []
        for _ in range(10):
            served[:] = [0.0]
            start = process_time()
            work()
            took.append(process_time() - start + sum(served))
        return min(took)

    event.listen(engine, "close", add_server)
    connecting, checking = least(connect), least(lambda: schema_check.check(engine))
    assert checking < 5 * connecting
