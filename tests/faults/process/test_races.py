"""X09, X10, X13, X14: concurrent runs and migrations; programs and schemas of different versions."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from etl.sandbox.world import CustomerPlan
from tests.stress.stage import Ended, Stage, leftovers, no_lock_files, reading
from tests.support.processes import beside, halt, playing, refused, resume, rows, runner


def in_order(play: Stage) -> None:
    """Check that the warehouse equals the source, nothing is left over, and no two runs share an instant."""
    play.equals(play.truth())
    with reading(play.url) as engine:
        leftovers(engine)
    no_lock_files(play.url)
    assert not rows(play, "select account_id, observed_at from account_syncs group by 1, 2 having count(*) > 1")


def vnsync(play: Stage, *words: str) -> Ended:
    """Another command on the same warehouse, while a run is halted."""
    runner(1).start(list(words), play.environment())
    done = runner(1).wait()
    assert done is not None
    return done


@pytest.mark.parametrize("processes", [2, 8])
@pytest.mark.fault("X09")
def test_same_accounts_at_once(play: Stage, processes: int) -> None:
    """Of simultaneous runs over the same accounts one succeeds; others sync the remaining ones (3), or none (75)."""
    play.pass_day()
    done = runner(0).race([play.words() for _ in range(processes)], play.environment())
    assert {each.code for each in done} <= {0, 3, 75}
    assert any(each.code == 0 for each in done)
    for each in done:
        if each.code == 75:
            refused(each, 75, "is being synced by run|database is locked")
        if each.code == 3:
            assert "is being synced by run" in each.err
    in_order(play)


@pytest.mark.fault("X09")
def test_one_wins_while_it_works(play: Stage) -> None:
    """While one run lists, seven others get 75 without requesting a number; then the first succeeds."""
    play.pass_day()
    pid = halt(play, "elsewhere", 2, only="after bulk")
    listed = play.api.count("get.virtual_numbers")
    for each in runner(1).race([play.words() for _ in range(7)], play.environment()):
        refused(each, 75, "is being synced by run")
    assert play.api.count("get.virtual_numbers") == listed
    assert resume(play, pid).code == 0
    in_order(play)


@pytest.mark.fault("X09")
def test_first_runs_at_once_on_an_empty_database(empty_url: str, tmp_path: Path) -> None:
    """Four simultaneous first runs make the schema once, and one of them loads."""
    with playing(empty_url, tmp_path) as play:
        done = runner(0).race([play.words() for _ in range(4)], play.environment())
        assert {each.code for each in done} <= {0, 3, 75}, [each.err for each in done]
        assert any(each.code == 0 for each in done)
        in_order(play)


@pytest.mark.fault("X10")
def test_different_accounts_at_once(play: Stage) -> None:
    """Simultaneous runs over different accounts all succeed."""
    for _ in range(2):
        play.world.add_customer(CustomerPlan(numbers=20))
    play.pass_day()
    accounts = play.world.customer_ids
    done = runner(0).race([play.words("--account", str(a)) for a in accounts], play.environment())
    assert [each.code for each in done] == [0] * 4, [each.err for each in done]
    in_order(play)


@pytest.mark.fault("X10")
def test_different_accounts_while_one_lists(play: Stage) -> None:
    """A run over one account does not wait for a run over another."""
    play.pass_day()
    first, second = play.world.customer_ids
    pid = halt(play, "elsewhere", 2, only="after bulk", words=("--account", str(first)))
    with beside(play) as other:
        assert other.run("--account", str(second)).code == 0
    assert resume(play, pid).code == 0
    in_order(play)


# -- migrations


def impatient(play: Stage) -> str:
    """The warehouse's URL with a lock timeout of a second instead of half a minute."""
    url = make_url(play.url)
    more = {"timeout": "1"} if url.get_backend_name() == "sqlite" else {"options": "-c lock_timeout=1000"}
    return url.update_query_dict(more).render_as_string(hide_password=False)


@pytest.mark.parametrize("migration", ["downgrade", "upgrade"])
@pytest.mark.fault("X13")
def test_migration_during_a_run(play: Stage, migration: str) -> None:
    """During a run the schema is not changed: 75 names the run; afterwards it can be changed."""
    words = ("db", "upgrade") if migration == "upgrade" else ("db", "downgrade", "base", "--yes")
    pid = halt(play, "elsewhere", 2, only="after request")
    if migration == "upgrade":
        _drop_a_view(play)
    refused(vnsync(play, *words), 75, "run [0-9]{16} is in progress")
    assert resume(play, pid).code == 0
    in_order(play)
    assert vnsync(play, *words).code == 0


def _drop_a_view(play: Stage) -> None:
    """Make a schema that `db upgrade` has to repair."""
    url = make_url(play.url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("drop view changes"))


@pytest.mark.fault("X13")
def test_run_during_a_migration(play: Stage) -> None:
    """During a change of the schema no run begins: 75, and no request is spent."""
    asked = len(play.api.requests)
    at = {"phase": "elsewhere", "number": 1, "deed": "halt", "only": "after drop view"}
    pid = runner(1).start(["db", "downgrade", "base", "--yes"], play.environment(), at)
    assert runner(1).wait() is None
    refused(play.run(url=impatient(play)), 75)
    assert len(play.api.requests) == asked
    os.kill(pid, signal.SIGCONT)
    done = runner(1).wait()
    assert done is not None
    assert done.code == 0
    play.converge()


@pytest.mark.fault("X13")
def test_schema_changed_between_a_run_s_look_and_its_start(play: Stage, database: str) -> None:
    """A run that found the schema right, and begins after its removal, notices this: 75, and no request is spent."""
    asked = len(play.api.requests)
    only = "before lock file" if database == "sqlite" else "before select pg_try_advisory_xact_lock"
    pid = halt(play, "elsewhere", 1, only=only)
    assert vnsync(play, "db", "downgrade", "base", "--yes").code == 0
    refused(resume(play, pid), 75, "the schema was changed")
    assert len(play.api.requests) == asked
    play.converge()


@pytest.mark.parametrize("words", [("sync",), ("db", "upgrade"), ("sync", "--no-upgrade")])
@pytest.mark.fault("X14")
def test_schema_of_a_newer_vnsync(play: Stage, words: tuple[str, ...]) -> None:
    """The schema of a newer vnsync is refused by its name, before any request, and left unchanged."""
    before, asked = rows(play, "select * from virtual_numbers order by 1, 2"), len(play.api.requests)
    url = make_url(play.url)
    engine = create_engine(url.set(drivername="postgresql+psycopg") if "postgresql" in play.url else url,
                           poolclass=NullPool)  # fmt: skip
    with engine.begin() as connection:
        connection.execute(text("update vnsync_version set version_num = '9999'"))
    done = play.run(*words[1:]) if words[0] == "sync" else vnsync(play, *words)
    refused(done, 78, "has schema 9999, which this vnsync")
    assert rows(play, "select * from virtual_numbers order by 1, 2") == before
    assert len(play.api.requests) == asked
    with engine.begin() as connection:
        connection.execute(text("delete from vnsync_version"))
    refused(play.run("--no-upgrade"), 70, "their version is missing from the table vnsync_version")
    assert len(play.api.requests) == asked
