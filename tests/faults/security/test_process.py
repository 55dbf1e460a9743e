"""S02, S14, S20: the key and the process: command line, child processes, modes of files, the current folder."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from etl.cli.main import COMMANDS, cli
from etl.config.settings import DECLARED
from etl.store.engine import open_warehouse
from etl.workers import pool, process
from tests.support.running import Run, Source, command, environment
from tests.support.secrets import CANARY, TRACE, write_secret

pytestmark = pytest.mark.usefixtures("clean")

SECRETS = {"api_token", "api_password", "ping_url"}


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Command]:
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from _commands(found, context) if isinstance(found, click.Group) else [found]


@pytest.mark.fault("S02")
def test_no_option_takes_a_secret(vnsync: Run) -> None:
    """No command has an option for the key or the password, nor one that click would complete to it."""
    found = list(_commands(cli, click.Context(cli)))
    assert len(found) > len(COMMANDS)
    options = {name for one in found for parameter in one.params for name in parameter.opts}
    assert not options & {f"--{name.replace('_', '-')}" for name in SECRETS}
    assert {name for name in options if "token" in name or "password" in name} == {"--api-token-file"}
    for words in (("--api-token", CANARY), (f"--api-token={CANARY}",), (f"--api-password={CANARY}",)):
        assert vnsync("sync", *words).code == 2


@pytest.mark.fault("S02")
def test_command_line_and_environment(customer: Source) -> None:
    """During a run the parts of its process that are visible to others have no key: it came from a file."""
    seen: dict[str, bytes] = {}
    running: list[subprocess.Popen[bytes]] = []

    def look(_request: object) -> None:
        folder = Path(f"/proc/{running[0].pid}")
        seen.update({name: folder.joinpath(name).read_bytes() for name in ("cmdline", "environ", "comm")})
        children = folder / "task" / str(running[0].pid) / "children"
        if children.exists():
            seen["children"] = children.read_bytes()

    customer.api.before_request.append(look)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with customer.api.lock:
        running.append(subprocess.Popen(command("sync", *customer.options), env=environment(), **quiet))
    assert running[0].wait(timeout=60) == os.EX_OK
    assert b"--api-token-file" in seen["cmdline"]
    assert not [name for name, content in seen.items() if TRACE.encode() in content]
    assert seen.get("children", b"") == b""


WATCHED = """
import os, sys
def watch(event, arguments):
    if event.split(".")[0] == "subprocess" or event in (
        "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile"
    ):
        os.write(2, f"CHILD {event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(watch)
sys.argv = ["vnsync", *sys.argv[1:]]
from etl.__main__ import main
main()
"""


@pytest.mark.parametrize("words", ["sync", "doctor"])
@pytest.mark.fault("S02")
def test_no_children(customer: Source, warehouse_url: str, words: str) -> None:
    """vnsync usually starts no process, so none can inherit the key."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, words, *customer.options[:2], "--database-url", warehouse_url],
        env={**environment(), "VNSYNC_API_TOKEN": CANARY},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.fault("S02")
def test_the_process_beside_is_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the transform process has the paths of programs and libraries, and no setting."""
    monkeypatch.setenv("vnsync_api_token", "not for others")
    monkeypatch.setenv("PGPASSWORD", "not for others")
    given: dict[str, Any] = {}
    started = subprocess.Popen

    def start(words: list[str], **more: Any) -> Any:
        given.update(more, words=words)
        return started(words, **more)

    monkeypatch.setattr(subprocess, "Popen", start)
    with pool.transformers(worth_it=1) as transformers, transformers(1, lambda: None) as transformer:
        child = transformer._process._child  # type: ignore[attr-defined]  # looks inside
    assert child.returncode is not None
    assert given["env"].keys() <= set(process._INHERITED)
    assert "PATH" in given["env"]
    assert "not for others" not in str(given)


# -- S14


def _modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
@pytest.mark.fault("S14")
def test_files_of_a_run(customer: Source, clean: Path, umask: int) -> None:
    """For any umask: database, journal, shared memory and lock are readable by their owner only, from the beginning."""
    seen: dict[str, set[str]] = {}

    def look(_request: object) -> None:
        for name, mode in _modes(clean).items():
            seen.setdefault(name.split(".run-")[0] + (".lock" if name.endswith(".lock") else ""), set()).add(mode)

    customer.api.after_request.append(look)
    _run(umask, "sync", *customer.options)
    assert {"vnsync.db", "vnsync.db-wal", "vnsync.db-shm", "vnsync.db.lock"} <= seen.keys()
    assert set().union(*seen.values(), _modes(clean).values()) == {"0o600"}


def _run(umask: int, *words: str) -> None:
    """Run a command in its own process with that umask; it must succeed."""
    how: dict[str, Any] = {"env": environment(), "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(command(*words), check=False, umask=umask, **how)
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("S14")
def test_files_of_the_demo(clean: Path) -> None:
    """The demo's file has mode 0600, too."""
    _run(0o000, "demo", "--days", "1")
    assert _modes(clean) == {"vnsync-demo.db": "0o600"}


@pytest.mark.fault("S14")
def test_umask_is_the_callers_again(vnsync: Run) -> None:
    """In a process that continues after a command, the umask is the previous one."""
    before = os.umask(0o027)
    try:
        assert vnsync("db", "upgrade").code == 0
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert _modes(Path())["vnsync.db"] == "0o600"


@pytest.mark.fault("S14")
def test_warehouse_without_the_command_line(clean: Path) -> None:
    """A program that opens a warehouse itself, with umask 0, gets files readable by their owner only."""
    before = os.umask(0)
    try:
        engine = open_warehouse("sqlite:///x.db")
        with engine.connect() as connection:
            connection.exec_driver_sql("create table t (a)")
            assert _modes(clean) == {"x.db": "0o600", "x.db-wal": "0o600", "x.db-shm": "0o600"}
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o606])
@pytest.mark.parametrize("words", ["sync", "accounts", "doctor"])
@pytest.mark.fault("S14")
def test_loose_key_file_is_told(customer: Source, vnsync: Run, mode: int, words: str) -> None:
    """A key file that everyone can read is accepted with a warning that contains the command to fix it."""
    file = customer.options[3]
    Path(file).chmod(mode)
    done = vnsync(words, *customer.options)
    assert done.code == 0
    assert f"chmod 600 {file}" in (done.out if words == "doctor" else done.err)
    Path(file).chmod(0o600)
    done = vnsync(words, *customer.options)
    assert "chmod" not in done.out + done.err


@pytest.mark.fault("S14")
def test_loose_database_is_told(customer: Source, vnsync: Run) -> None:
    """A database file that others can read gives a warning of doctor."""
    assert vnsync("sync", *customer.options).code == 0
    assert "chmod" not in vnsync("doctor", *customer.options).out
    Path("vnsync.db").chmod(0o644)
    assert "chmod 600 vnsync.db" in vnsync("doctor", *customer.options).out


@pytest.mark.parametrize("setting", ["api_token", "api_password", "database_url", "ping_url"])
@pytest.mark.parametrize("mode", [0o644, 0o660])
@pytest.mark.fault("S14")
def test_loose_settings_file_is_refused(vnsync: Run, clean: Path, setting: str, mode: int) -> None:
    """A settings file that has a secret and that others can read is refused before anything else."""
    value = f"postgresql://u:{CANARY}@h/d" if setting == "database_url" else CANARY
    write_secret(clean / "vnsync.toml", f"{setting} = {json.dumps(value)}\n").chmod(mode)
    done = vnsync("sync", "--log-level", "debug")
    assert done.code == 78
    assert "chmod 600 vnsync.toml" in done.err


# -- S20

PLANTED = """
__future__ json re pathlib os site typing dataclasses contextlib importlib io signal encodings codecs abc stat enum
logging tomllib ssl socket sqlite3 runpy pkgutil fnmatch functools select resource traceback zlib decimal
click httpx httpcore msgspec sqlalchemy alembic psycopg rich pydantic pydantic_settings tenacity certifi env
sitecustomize usercustomize migrations
"""
TOO_EARLY = {"importlib", "contextlib", "functools"}
"""Modules that `python -m` itself imports before vnsync's first line; `vnsync` and `python -P -m etl` do not."""


def _plant(folder: Path, names: set[str]) -> None:
    for name in names:
        folder.joinpath(f"{name}.py").write_text(f"open('ran-{name}', 'w').close()\nraise SystemExit(98)\n")
    folder.joinpath("planted.pth").write_text("import json\n")
    folder.joinpath("alembic.ini").write_text("[alembic]\nscript_location = .\n")
    folder.joinpath("pyproject.toml").write_text('[tool.alembic]\nscript_location = "."\n')
    folder.joinpath(".env").write_text("VNSYNC_API_URL=https://elsewhere.example/\n")
    folder.joinpath("logging.conf").write_text("[loggers]\nkeys=root\n")


@pytest.mark.parametrize("way", ["module", "script"])
@pytest.mark.fault("S20")
def test_files_of_the_current_folder_are_not_run(customer: Source, clean: Path, way: str) -> None:
    """Modules, path files and other tools' settings in the current folder are neither imported nor read."""
    _plant(clean, set(PLANTED.split()) - (TOO_EARLY if way == "module" else set()))
    script = Path(sys.executable).with_name("vnsync")
    if way == "script" and not script.exists():
        pytest.skip("vnsync is not installed here")
    words = command("sync", *customer.options) if way == "module" else [str(script), "sync", *customer.options]
    variables = environment() if way == "module" else {k: v for k, v in environment().items() if k != "PYTHONPATH"}
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert list(clean.glob("ran-*")) == []
    assert done.returncode == 0, done.stderr


def _foreign(path: Path) -> None:
    os.chown(path, 4711, 4711)


@pytest.mark.parametrize(
    ("bend", "told"),
    [(_foreign, "it belongs to another user"), (lambda path: path.chmod(0o666), "every user may write it")],
    ids=["of_another_user", "writable"],
)
@pytest.mark.fault("S20")
def test_settings_that_somebody_else_left_here(customer: Source, vnsync: Run, bend: Any, told: str) -> None:
    """A vnsync.toml in the current folder that others may have written could redirect the key: it is refused."""
    if os.geteuid() and bend is _foreign:
        pytest.skip("only root can give a file away")
    file = Path("vnsync.toml")
    file.write_text(f'api_url = "{customer.url}"\n')
    file.chmod(0o644)
    bend(file)
    done = vnsync("sync", *customer.options[2:])
    assert done.code == 78
    assert told in done.error
    assert "--config vnsync.toml" in done.error
    assert customer.api.requests == []
    assert vnsync("sync", "--config", "vnsync.toml", *customer.options[2:]).code == 0


@pytest.mark.parametrize("name", ["api_url", "log_format", "database_schema"])
@pytest.mark.fault("S20")
def test_settings_are_values_only(vnsync: Run, clean: Path, name: str) -> None:
    """No text in a settings file is evaluated, expanded or imported: it is a value, or it is refused."""
    assert name in DECLARED
    for value in ("${HOME}", "$(touch ran)", "{{ 7 * 7 }}", "!!python/object/apply:os.system ['touch ran']", "@file"):
        Path("vnsync.toml").write_text(f"{name} = {json.dumps(value)}\n")
        assert vnsync("config").code == 78
    assert [path.name for path in clean.iterdir()] == ["vnsync.toml"]
