"""vnsync from Python: typed results, documented errors, and nothing left behind in the caller's process."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import json
import locale
import logging
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

import vnsync
from etl.cli import allocator
from etl.config.settings import DECLARED
from etl.domain.events import AccountFinished, RunFinished, RunStarted
from tests.support import secrets
from tests.support.checkout import ROOT
from tests.support.running import TOKEN, Source

API = ("api_url", "api_token", "api_token_file", "api_login", "api_password", "api_password_file", "retry_max_seconds")


@dataclass
class Synced:
    """A warehouse that was synced from Python twice, with a day's changes between; `first`: the result before them."""

    source: Source
    url: str
    first: vnsync.RunResult
    last: vnsync.RunResult


@pytest.fixture
def synced(agency: Source, warehouse_url: str) -> Synced:
    """An agency of two customers, the second sync a simulated day after the first."""
    given: dict[str, Any] = {"api_url": agency.url, "api_token": TOKEN, "database_url": warehouse_url}
    first = vnsync.sync(**given)
    agency.world.pass_day(share=0.3)
    return Synced(agency, warehouse_url, first, vnsync.sync(**given))


def phone_of(synced: Synced) -> tuple[int, int, str]:
    """Account, id and phone of the first customer's first number."""
    account_id = synced.source.world.customer_ids[0]
    number = min(synced.source.world.truth(account_id), key=lambda record: record["id"])
    return account_id, number["id"], number["virtual_phone_number"]


# -- results


def test_a_sync_returns_the_result_of_its_run(synced: Synced) -> None:
    """A frozen dataclass with each published account and the changes of each table."""
    assert synced.first.status is vnsync.RunStatus.SUCCEEDED
    assert synced.first.exit_code == 0
    assert [a.account_id for a in synced.first.accounts] == sorted(synced.source.world.customer_ids)
    assert all(a.status is vnsync.AccountStatus.SUCCEEDED for a in synced.first.accounts)
    assert synced.first.accounts[0].changes["virtual_numbers"].added == 30
    assert synced.last.run_id > synced.first.run_id


def test_a_number_is_found_by_phone_and_by_id(synced: Synced) -> None:
    """Its history has the values that the source has now, and the account's name."""
    account_id, number_id, phone = phone_of(synced)
    (found,) = vnsync.history(phone, database_url=synced.url)
    assert (found.account_id, found.virtual_number_id, found.virtual_phone_number) == (account_id, number_id, phone)
    assert found.number[-1].valid_to is None
    assert vnsync.history(number_id, accounts=[account_id], database_url=synced.url) == [found]


def test_the_past_is_answered_as_it_was_known(synced: Synced) -> None:
    """With a moment as a datetime or as text: the first observation, and no change of the day after it."""
    _, _, phone = phone_of(synced)
    then = synced.first.accounts[0].observed_at
    assert then is not None
    (found,) = vnsync.history(phone, as_of=then, database_url=synced.url)
    assert found.observed_at == then
    assert vnsync.history(phone, as_of=then.isoformat(), database_url=synced.url) == [found]
    assert {a.observed_at for a in vnsync.status(as_of=synced.first.finished_at, database_url=synced.url).accounts} == {
        a.observed_at for a in synced.first.accounts
    }


def test_changes_are_those_of_the_second_sync(synced: Synced) -> None:
    """Changes after the first run belong to the second, and are also those of one of the accounts."""
    found = vnsync.changes(start=synced.first.finished_at, database_url=synced.url)
    assert found
    assert {c.run_id for c in found} == {synced.last.run_id}
    assert {type(c) for c in found} == {vnsync.Change}
    whole = vnsync.changes(database_url=synced.url)
    assert whole != found
    assert [c for c in whole if c.run_id == synced.last.run_id] == found
    one = synced.source.world.customer_ids[1]
    assert vnsync.changes(accounts=[one], database_url=synced.url) == [c for c in whole if c.account_id == one]


def test_the_status_tells_the_last_run(synced: Synced) -> None:
    """Each account with its last observation, and the newest run."""
    found = vnsync.status(database_url=synced.url)
    assert found.last_run is not None
    assert found.last_run.run_id == synced.last.run_id
    assert [a.observed_at for a in found.accounts] == [a.observed_at for a in synced.last.accounts]


def test_the_accounts_of_a_token(agency: Source) -> None:
    """An agent's customers, with their names."""
    roster = vnsync.accounts(api_url=agency.url, api_token=TOKEN)
    assert roster.role == "agent"
    assert [a.account_id for a in roster.accounts] == sorted(agency.world.customer_ids)
    assert roster.accounts[0].account_name == "Acme"


def test_events_come_while_a_sync_runs(agency: Source, warehouse_url: str) -> None:
    """The caller's function is given each account's end, then the run's."""
    events: list[object] = []
    result = vnsync.sync(api_url=agency.url, api_token=TOKEN, database_url=warehouse_url, report=events.append)
    assert [e.result.account_id for e in events if isinstance(e, AccountFinished)] != []
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result == result


def test_a_choice_of_accounts(agency: Source, warehouse_url: str) -> None:
    """By id, by age and by shard, as the command's options."""
    given: dict[str, Any] = {"api_url": agency.url, "api_token": TOKEN, "database_url": warehouse_url}
    one, other = sorted(agency.world.customer_ids)
    assert [a.account_id for a in vnsync.sync(**given, accounts=[other]).accounts] == [other]
    assert [a.account_id for a in vnsync.sync(**given, older_than=timedelta(hours=1)).accounts] == [one]
    halves = [vnsync.sync(**given, shard=f"{n}/2").accounts for n in (1, 2)]
    assert sorted(a.account_id for half in halves for a in half) == [one, other]


def test_settings_that_are_not_given_are_the_environment_s(
    agency: Source, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the command; an argument goes before them, and a login before a key of the environment."""
    monkeypatch.setenv("VNSYNC_API_URL", agency.url)
    monkeypatch.setenv("VNSYNC_API_TOKEN_FILE", str(agency.options[3]))
    monkeypatch.setenv("VNSYNC_DATABASE_URL", empty_url)
    assert vnsync.sync().exit_code == 0
    assert vnsync.status().accounts
    with pytest.raises(vnsync.NotAllowed):
        vnsync.sync(api_token="another key that does not open anything")


# -- errors


def test_an_account_that_fails_is_an_error_with_the_result(agency: Source, warehouse_url: str) -> None:
    """The others are published; the error has the exit code of the command, and the run with both accounts."""
    broken, whole = sorted(agency.world.customer_ids)
    agency.world.block(broken)
    with pytest.raises(vnsync.Incomplete) as caught:
        vnsync.sync(api_url=agency.url, api_token=TOKEN, database_url=warehouse_url)
    run = caught.value.run
    assert isinstance(run, vnsync.RunResult)
    assert (caught.value.exit_code, caught.value.run_id) == (3, run.run_id)
    assert {a.account_id: a.status.value for a in run.accounts}[whole] == "succeeded"


@pytest.mark.parametrize(
    ("function", "given", "kind", "cause"),
    [
        (vnsync.sync, {"api_token": 7}, "Misconfigured", "argument api_token is not usable"),
        (vnsync.sync, {"api_token": " "}, "Misconfigured", "argument api_token is empty"),
        (vnsync.sync, {"concurrency": 99}, "Misconfigured", "argument concurrency is '99'"),
        (vnsync.sync, {}, "Misconfigured", "no API token is set"),
        (vnsync.sync, {"shard": "5/4"}, "Usage", "shard is '5/4'"),
        (vnsync.accounts, {"api_url": "http://elsewhere/v2.0"}, "Misconfigured", "argument api_url is refused"),
        (vnsync.history, {"number": "1"}, "Misconfigured", "there is no warehouse at sqlite:///none.db"),
        (vnsync.status, {"as_of": datetime(2026, 1, 1)}, "Usage", "as_of has no time zone"),  # noqa: DTZ001
        (vnsync.status, {"as_of": "soon"}, "Usage", "as_of is not a date or time"),
        (vnsync.history, {"number": "1", "as_of": "2999-01-01"}, "Usage", "as_of 2999-01-01T00:00:00Z lies in the"),
        (vnsync.changes, {"start": "2026-01-02", "end": "2026-01-01"}, "Usage", "start is not before end"),
    ],
)
def test_a_mistake_is_named_by_its_argument(
    function: Callable[..., object], given: dict[str, Any], kind: str, cause: str
) -> None:
    """One line that says which argument, with a remedy."""
    place = {} if function is vnsync.accounts else {"database_url": "sqlite:///none.db"}
    with pytest.raises(vnsync.VnsyncError) as caught:
        function(**given, **place)
    assert type(caught.value).__name__ == kind
    assert str(caught.value).startswith(cause)
    assert caught.value.remedy
    assert not Path("none.db").exists()


def test_a_number_that_was_never_listed(synced: Synced) -> None:
    """A usage error, as for the command."""
    with pytest.raises(vnsync.Usage, match="no number 1 was ever listed"):
        vnsync.history(1, database_url=synced.url)


def test_a_moment_before_all_observations_is_named_by_its_argument(synced: Synced) -> None:
    """Whichever function is asked."""
    _, _, phone = phone_of(synced)
    for ask in (
        lambda: vnsync.history(phone, as_of="2020-01-01", database_url=synced.url),
        lambda: vnsync.status(as_of="2020-01-01", database_url=synced.url),
    ):
        with pytest.raises(vnsync.Usage, match=r"^as_of 2020-01-01T00:00:00Z lies before the first observation$"):
            ask()
    with pytest.raises(vnsync.Usage, match=r"^end 2020-"):
        vnsync.changes(end="2020-01-01", database_url=synced.url)


def test_a_row_that_was_edited_is_named(agency: Source, sqlite_warehouse: Engine) -> None:
    """A value that cannot be read is traced to its table, as by the command."""
    url = sqlite_warehouse.url.render_as_string()
    vnsync.sync(api_url=agency.url, api_token=TOKEN, database_url=url)
    with sqlite_warehouse.begin() as connection:
        connection.exec_driver_sql("pragma ignore_check_constraints = on")
        connection.exec_driver_sql("update virtual_numbers set valid_from = 'yesterday'")
    with pytest.raises(vnsync.IntegrityBroken, match="virtual_numbers"):
        vnsync.changes(database_url=url)


# -- secrets


def _texts(error: BaseException) -> Iterator[str]:
    """Local variables of a traceback, in this module and everything that it calls, down to the network."""
    trace = error.__traceback__
    while trace is not None:
        if "tests" not in trace.tb_frame.f_code.co_filename:
            yield from (f"{name}: {value!r}" for name, value in trace.tb_frame.f_locals.items())
        trace = trace.tb_next


@pytest.mark.parametrize(
    "more", [{"concurrency": 0}, {"api_url": "nonsense"}, {"database_url": "sqlite:////nowhere/at/all.db"}, {}]
)
def test_the_token_is_in_no_error(customer: Source, more: dict[str, Any]) -> None:
    """Neither in its text, its causes and its remedy nor in the variables along its way."""
    customer.api.sessions.token = "another"
    given = {"api_url": customer.url, "database_url": "sqlite:///w.db", **more}
    with pytest.raises(vnsync.VnsyncError) as caught:
        vnsync.sync(api_token=TOKEN, **given)
    assert not secrets.in_exception(caught.value)
    assert not secrets.in_text(*_texts(caught.value))


def test_a_database_password_is_in_no_error() -> None:
    """Also where the driver repeats the URL in its own error."""
    url = f"postgresql://etl:{TOKEN}@127.0.0.1:9/calls?connect_timeout=2"
    with pytest.raises(vnsync.Unavailable) as caught:
        vnsync.status(database_url=url)
    assert not secrets.in_exception(caught.value)
    with pytest.raises(vnsync.Misconfigured) as refused:
        vnsync.status(database_url=f"mysql://etl:{TOKEN}@127.0.0.1/calls")
    assert not secrets.in_exception(refused.value)
    assert not secrets.in_text(*_texts(refused.value))


# -- the caller's process


def _process() -> dict[str, object]:
    """State of the process that a library could change."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    handlers = [h for logger in loggers for h in logger.handlers if not isinstance(h, logging.NullHandler)]
    before = os.umask(0)
    os.umask(before)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) or "process_request" in thread.name:
            thread.join(10)  # cancelled timers, and the sandbox's answers, end by themselves
    return {
        "environment": dict(os.environ),
        "umask": before,
        "folder": os.getcwd(),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "handlers": handlers,
        "level": logging.getLogger().level,
        "locale": locale.setlocale(locale.LC_ALL),
        "collector": (gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()),
        "limits": [resource.getrlimit(kind) for kind in (resource.RLIMIT_CORE, resource.RLIMIT_AS)],
        "path": list(sys.path),
        "streams": (sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook, threading.excepthook),
        "warnings": list(warnings.filters),
        "threads": {thread.name for thread in threading.enumerate()},
    }


def test_nothing_is_printed_and_nothing_is_left(
    agency: Source, warehouse_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, signals, logging, locale, collector, limits, threads, files and allocator are unchanged."""
    monkeypatch.setattr(allocator, "few_arenas", lambda: pytest.fail("the allocator was set"))
    given: dict[str, Any] = {"api_url": agency.url, "api_token": TOKEN, "database_url": warehouse_url}
    vnsync.sync(**given)  # imports what is needed
    gc.collect()
    before, files = _process(), set(os.listdir("/proc/self/fd"))
    vnsync.sync(**given)
    number = agency.world.truth(agency.world.customer_ids[0])[0]["id"]
    vnsync.history(number, database_url=warehouse_url)
    vnsync.changes(database_url=warehouse_url)
    vnsync.status(database_url=warehouse_url)
    vnsync.accounts(api_url=agency.url, api_token=TOKEN)
    with pytest.raises(vnsync.Usage):
        vnsync.history("nothing", database_url=warehouse_url)
    gc.collect()
    assert _process() == before
    assert len(set(os.listdir("/proc/self/fd")) - files) == 0
    assert capfd.readouterr() == ("", "")


def test_a_thread_for_each_warehouse(agency: Source, tmp_path: Path) -> None:
    """Threads may call at the same time, each with a new warehouse: migrations and secrets do not mix."""
    before = threading.active_count()

    def one(name: str) -> tuple[str, int]:
        url = f"sqlite:///{tmp_path / name}.db"
        result = vnsync.sync(api_url=agency.url, api_token=TOKEN, database_url=url)
        return url, result.accounts[0].rows_opened

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, "abcd"))
    assert len({rows for _, rows in found}) == 1
    assert all(vnsync.status(database_url=url).accounts for url, _ in found)
    assert threading.active_count() == before


def test_two_threads_on_one_warehouse(agency: Source, warehouse_url: str) -> None:
    """Accounts that another thread is syncing are not synced twice: the error says that a later call may succeed."""
    given: dict[str, Any] = {"api_url": agency.url, "api_token": TOKEN, "database_url": warehouse_url}
    started, refused = threading.Event(), threading.Event()

    def hold(event: object) -> None:
        if isinstance(event, RunStarted):
            started.set()
            refused.wait(60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(vnsync.sync, **given, report=hold)
        assert started.wait(60)
        try:
            with pytest.raises(vnsync.TryLater):
                vnsync.sync(**given)
        finally:
            refused.set()
        assert first.result().exit_code == 0


def test_a_loop_that_is_running_is_no_obstacle(agency: Source, warehouse_url: str) -> None:
    """A notebook's cells run inside an event loop: a call is a plain call there."""

    async def cell() -> vnsync.RunResult:
        return vnsync.sync(api_url=agency.url, api_token=TOKEN, database_url=warehouse_url)

    assert asyncio.run(cell()).exit_code == 0


def test_an_interrupt_ends_the_run(agency: Source, warehouse_url: str) -> None:
    """The stop button of a notebook raises KeyboardInterrupt: no run stays running, and the next one does the work."""
    given: dict[str, Any] = {"api_url": agency.url, "api_token": TOKEN, "database_url": warehouse_url}

    def stop(event: object) -> None:
        if isinstance(event, RunStarted):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vnsync.sync(**given, report=stop)
    last = vnsync.status(database_url=warehouse_url).last_run
    assert last is not None
    assert last.status == vnsync.RunStatus.INTERRUPTED
    assert vnsync.sync(**given).exit_code == 0


# -- the module


def test_importing_it_imports_nothing_heavy() -> None:
    """Neither a library nor the program, until a function or a name is used."""
    code = "import json, sys; import vnsync; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    taken = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not {"click", "sqlalchemy", "httpx", "msgspec", "etl"} & taken


def test_names_for_type_checkers_are_those_at_run_time() -> None:
    """Each name that is imported under TYPE_CHECKING can be imported, from the same module, and no other."""
    (block,) = [
        n
        for n in ast.parse(inspect.getsource(vnsync)).body
        if isinstance(n, ast.If) and n.test and not n.orelse and ast.unparse(n.test) == "TYPE_CHECKING"
    ]
    typed = {(n.module, a.name) for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names if a.asname}
    assert typed == {(home, name) for home, names in vnsync._HOMES.items() for name in names}
    assert {name for _, name in typed} | set(vnsync._FUNCTIONS) == set(vnsync.__all__) == set(dir(vnsync))
    assert all(getattr(vnsync, name) is not None for name in vnsync.__all__)
    with pytest.raises(AttributeError, match="no attribute 'snyc'"):
        vnsync.snyc  # type: ignore[attr-defined]  # noqa: B018


def test_arguments_have_the_names_of_the_settings() -> None:
    """`sync` takes every setting except the command's own (log, pings, lineage); the others take theirs."""
    given = {name for name in inspect.signature(vnsync.sync).parameters if name in DECLARED}
    assert given == DECLARED.keys() - {"log_format", "log_level", "ping_url", "openlineage_file"}
    for function in (vnsync.history, vnsync.changes, vnsync.status):
        assert {"database_url", "database_schema"} <= inspect.signature(function).parameters.keys()
    assert inspect.signature(vnsync.accounts).parameters.keys() == set(API)


@pytest.mark.parametrize("name", ["sync", "accounts", "history", "changes", "status"])
def test_every_error_that_is_documented_can_be_caught(name: str) -> None:
    """The docstring's errors are names of the module."""
    text = inspect.getdoc(getattr(vnsync, name)) or ""
    assert "Raises" in text
    named = set(re.findall(r"`([A-Z]\w+)`", text))
    assert named <= set(vnsync.__all__) | {"None"}


@pytest.mark.parametrize("how", ["first on the path", "installed over it"])
def test_another_package_etl_is_told_in_one_line(tmp_path: Path, how: str) -> None:
    """First on the path, or in place of the files: exit 78 with path and remedy; from Python, ImportError."""
    home = tmp_path / "site"
    shutil.copytree(ROOT / "etl", home / "etl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "vnsync.py", home)
    other = home if how == "installed over it" else tmp_path / "project"
    (other / "etl").mkdir(parents=True, exist_ok=True)
    (other / "etl" / "__init__.py").write_text('print("a stranger was run")\n')

    def run(code: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(map(str, (other, home)))
        return subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = run("from vnsync import main; main()")
    assert (done.returncode, done.stdout) == (78, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"vnsync: error: another package named etl hides vnsync's own: {other}/etl/__init__.py. ")
    assert "an environment of its own" in line
    for use in ("vnsync.status()", "vnsync.Usage"):
        failed = run(f"import vnsync; {use}")
        assert "ImportError: another package named etl hides" in failed.stderr
        assert failed.stdout == ""


def test_main_is_the_command_line() -> None:
    """The entry point of the installed command gives the command's output and exit code."""
    code = "import sys; sys.argv = ['vnsync', 'status', '--bad']; from vnsync import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("vnsync: error: ")
