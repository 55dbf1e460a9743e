"""The frame around all commands: help, version, one line for each error, signals and broken pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import etl.config.settings
from etl.cli.main import COMMANDS, run
from etl.errors import Misconfigured
from tests.support.checkout import ROOT
from tests.support.running import TOKEN, Run, Source, command, environment

HEAVY = {"sqlalchemy", "httpx", "rich", "pydantic", "pydantic_settings", "msgspec", "alembic", "tenacity", "psycopg"}
EVERY = [[name] for name in COMMANDS] + [["db", "upgrade"], ["db", "current"], ["db", "downgrade"]]


def test_version_is_the_package_s(vnsync: Run) -> None:
    """The version is one line on stdout."""
    done = vnsync("--version")
    assert (done.code, done.out, done.err) == (0, f"vnsync {etl.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], *([*name, "--help"] for name in EVERY)])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    """Only click and the standard library are loaded before a command does something."""
    script = (
        "import sys; from etl.cli.main import run; code = run(sys.argv[1:]);"
        " print(sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environment(), capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(json.loads(done.stderr.replace("'", '"')))


@pytest.mark.parametrize("name", EVERY, ids=" ".join)
def test_every_help_shows_examples(name: list[str], vnsync: Run) -> None:
    """Each command's help has a description and examples, on lines that fit."""
    done = vnsync(*name, "--help")
    assert done.code == 0
    assert f"Usage: vnsync {' '.join(name)}" in done.out
    assert "Example" in done.out
    assert f"  vnsync {name[0]}" in done.out or f"Example: vnsync {name[0]}" in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    assert "\b" not in done.out


def test_overview_lists_every_command(vnsync: Run) -> None:
    """The top-level help names each command in the order in which a newcomer needs them."""
    done = vnsync("--help")
    places = [done.out.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_no_command_is_a_usage_error_with_the_overview(vnsync: Run) -> None:
    """Without a command the overview goes to stderr, and the exit code says usage."""
    done = vnsync()
    assert (done.code, done.out) == (2, "")
    assert "Commands:" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["synk"], "No such command 'synk'"),
        (["sync", "--token", "x"], "No such option"),
        (["sync", "--account", "x"], "'x' is not a valid integer"),
        (["sync", "extra"], "unexpected extra argument"),
        (["sync", "--output", "xml"], "'xml' is not one of 'text', 'json'"),
        (["status", "--max-age", "tomorrow"], "write 90m, 26h or 3d"),
        (["status", "--max-age", "0h"], "write 90m, 26h or 3d"),
        (["db", "downgrade"], "Missing argument 'REVISION'"),
        (["sandbox", "--port", "70000"], "70000 is not in the range"),
        (["sandbox", "--role", "customer", "--customers", "2"], "one customer"),
        (["demo", "--days", "0"], "0 is not in the range"),
    ],
)
def test_usage_error_is_one_line(arguments: list[str], told: str, vnsync: Run) -> None:
    """Words that are off exit 2, in one line that points to the help."""
    done = vnsync(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith("vnsync: error: ")
    assert told in done.error
    assert done.error.endswith("(exit 2)")


SECRET = "what-a-local-holds"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that quotes a secret."""

    def load(given: object, config: object) -> None:
        local_secret = SECRET
        raise ZeroDivisionError(f"a secret: {local_secret}")

    monkeypatch.setattr(etl.config.settings, "load", load)


@pytest.mark.usefixtures("broken")
def test_bug_is_one_line_that_asks_for_a_report(vnsync: Run) -> None:
    """An unexpected exception exits 1 and says where it happened; its text, which may quote data, is left out."""
    done = vnsync("config")
    assert done.code == 1
    assert done.error.startswith("vnsync: error: a bug in vnsync: ZeroDivisionError at cli/options.py:")
    assert "Report this as a bug in vnsync" in done.error
    assert SECRET not in done.error


@pytest.mark.usefixtures("broken")
def test_debug_adds_the_traceback_without_locals(vnsync: Run) -> None:
    """With --log-level debug the way to the error follows, as lines of code and not as values of variables."""
    lines = vnsync("config", "--log-level", "debug").err.splitlines()
    assert lines[0].startswith("vnsync: error: ")
    assert "Traceback (most recent call last):" in lines
    assert any("raise ZeroDivisionError" in line for line in lines)
    assert sum(SECRET in line for line in lines) == 1, "in the error's own text, and in no variable's"


def test_error_is_json_when_the_log_is(vnsync: Run) -> None:
    """With JSON logs the error is JSON as well, even one in the settings themselves."""
    for extra, variables in ((["--log-format", "json"], {}), ([], {"VNSYNC_LOG_FORMAT": "json"})):
        done = vnsync("sync", "--api-url", "http://example.com", *extra, **variables)
        told = json.loads(done.error)
        assert (done.code, told["exit_code"], told["level"], told["event"]) == (78, 78, "error", "error")
        assert told["message"].startswith("vnsync: error: --api-url is refused")


def test_error_shows_untrusted_text_escaped(vnsync: Run) -> None:
    """A newline or an escape sequence in quoted text cannot make a second line or move the cursor."""
    done = vnsync("config", "--log-level", "x\nvnsync: all is well\x1b[2J\u202e")
    assert done.code == 78
    assert "\x1b" not in done.error
    assert "\u202e" not in done.error


def test_secrets_are_taken_out_of_errors(vnsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that quotes a secret is printed without it, and so is its traceback."""

    def quote(loaded: etl.config.settings.Loaded) -> None:
        raise Misconfigured(f"the source quotes {TOKEN} and pa55word")

    monkeypatch.setattr(etl.config.settings.Loaded, "rows", quote)
    variables = {"VNSYNC_API_TOKEN": TOKEN, "VNSYNC_DATABASE_URL": "postgresql://u:pa55word@h/d"}
    done = vnsync("config", "--log-level", "debug", **variables)
    assert done.code == 78
    assert done.err.startswith("vnsync: error: the source quotes **** and ****. ")
    assert TOKEN not in done.err
    assert "Traceback" in done.err


def test_reader_that_goes_away_is_no_fault(process: Run) -> None:
    """`vnsync config | head -0` ends quietly and with 0."""
    for arguments in (("config",), ("--help",), ("config", "--output", "json")):
        reading, writing = os.pipe()
        os.close(reading)
        done = process(*arguments, stdout=writing)
        os.close(writing)
        assert (done.code, done.err) == (0, "")


def test_data_outcome_stands_when_the_reader_goes_away(agency: Source, process: Run) -> None:
    """A sync whose output pipe is closed ends with the code of its data, not with the pipe's."""
    agency.world.block(agency.world.customer_ids[0])
    reading, writing = os.pipe()
    os.close(reading)
    done = process("sync", "--output", "json", *agency.options, stdout=writing)
    os.close(writing)
    assert done.code == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_stdout_is_local_trouble(process: Run) -> None:
    """A result that cannot be written is exit 74, in one line."""
    with Path("/dev/full").open("w") as full:
        done = process("config", stdout=full)
    assert done.code == 74
    assert "No space left on device" in done.error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_stderr_leaves_the_data_safe(agency: Source, process: Run) -> None:
    """A log that cannot be written does not stop a sync."""
    with Path("/dev/full").open("w") as full:
        done = process("sync", "--output", "json", *agency.options, stderr=full)
    assert done.code == 0
    assert done.json["status"] == "succeeded"


def test_closed_streams_are_survived(agency: Source) -> None:
    """With neither stdout nor stderr a sync does its work and exits 0."""
    line = " ".join(command("sync", *agency.options)) + " >&- 2>&-"
    done = subprocess.run(["sh", "-c", line], env=environment(), check=False, timeout=60)
    assert done.returncode == 0


def test_ascii_terminal_gets_escapes(agency: Source) -> None:
    """Where the terminal's encoding cannot show a name, its escape is shown instead of a crash."""
    variables = {**environment(), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command("accounts", *agency.options), env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Zo\\xeb" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_becomes_an_exit_code(number: signal.Signals, vnsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal stops the command where it is: one line, 128 and the signal's number; the old handler is back then."""
    before = signal.getsignal(number)
    monkeypatch.setattr(etl.config.settings, "load", lambda given, config: signal.raise_signal(number))
    done = vnsync("config")
    assert done.code == 128 + number
    assert done.error.startswith(f"vnsync: error: stopped by {number.name}. ")
    assert signal.getsignal(number) is before


def test_nothing_of_the_current_folder_is_imported(clean: Path) -> None:
    """A planted module in the current folder is not run by the installed command."""
    for name in ("json", "click", "tomllib", "sqlite3"):
        (clean / f"{name}.py").write_text("raise SystemExit('planted')")
    script = f"import sys; sys.path.insert(1, {str(ROOT)!r}); from etl.cli.main import run; sys.exit(run(['config']))"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_run_gives_the_code_and_raises_nothing() -> None:
    """The entry point's function returns an exit code whatever happens."""
    assert run(["no-such-command"]) == 2
