"""Errors as one line on stderr: cause, remedy, run id and exit code; the traceback only at log level debug."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import etl
from etl.cli.output import end_json
from etl.cli.state import State
from etl.clock import SystemClock
from etl.errors import LocalTrouble, VnsyncError
from etl.report.errors import LONGEST
from etl.report.values import iso
from etl.report.wording import printable, sentence

MORE_MEMORY = "give the process more memory (ulimit -v, the container's limit)"
MORE_THREADS = "let the process have more threads or memory (ulimit -u, ulimit -v, the container's limits)"


def report_error(error: VnsyncError, state: State) -> int:
    """Write the error's line, and its JSON object for `--output json`; returns its exit code."""
    state.failure = error
    with contextlib.suppress(OSError, ValueError):
        end_json(state, error)
    _write(one_line(error, state), state, code=error.code, exit_code=error.exit_code, run_id=error.run_id)
    _trace(error, state)
    return error.exit_code


def local_trouble(error: OSError) -> LocalTrouble:
    """The error for an operating system's error that no other code handled: a disk or a file of this machine."""
    where = f" ({error.filename})" if error.filename else ""
    return LocalTrouble(f"{error.strerror or type(error).__name__}{where}")


def report_bug(error: BaseException, state: State) -> int:
    """Write one line that asks for a bug report, without the error's own text, which may quote data.

    A lack of memory or threads is not a bug; its line names the lack. At log level debug a traceback follows.
    """
    if isinstance(error, MemoryError):
        return report_error(_short_of("out of memory", MORE_MEMORY, error), state)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return report_error(_short_of("no more threads can be started", MORE_THREADS, error), state)
    cause = f"a bug in vnsync: {type(error).__name__} at {_place(error)}"
    bug = VnsyncError(cause, remedy=VnsyncError.default_remedy, run_id=getattr(error, "run_id", None))
    bug.__cause__ = error
    return report_error(bug, state)


def _short_of(cause: str, remedy: str, error: BaseException) -> VnsyncError:
    return LocalTrouble(cause, remedy=f"Nothing was half-published; {remedy}", run_id=getattr(error, "run_id", None))


def one_line(error: VnsyncError, state: State) -> str:
    """`vnsync: error: <cause>. <remedy> (run <id>, exit <code>)`."""
    run = "" if error.run_id is None else f"run {error.run_id}, "
    text = f"{sentence(str(error))} {sentence(error.remedy)}"
    return f"vnsync: error: {printable(state.redacted(text), LONGEST)} ({run}exit {error.exit_code})"


def _write(message: str, state: State, **fields: Any) -> None:
    if sys.stderr is None:
        return
    if state.log_format == "json":
        head = {
            "ts": iso(SystemClock().now()),
            "level": "error",
            "event": "error",
            "account_id": None,
            "message": message,
        }
        message = json.dumps({**head, **fields})
    else:
        message = _fitting(message)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


def _fitting(message: str) -> str:
    """The line, on a terminal folded between words; a command in backticks stays in one piece."""
    if not sys.stderr.isatty():
        return message
    from etl.report.terminal.paragraphs import folded
    from etl.report.terminal.tables import console

    return folded(message, console(sys.stderr).width)


def _trace(error: BaseException, state: State) -> None:
    """Write the traceback at log level debug: files, lines and messages, never the values of variables."""
    if not state.debug or sys.stderr is None:
        return
    for part in traceback.format_exception(error):
        for line in part.splitlines():
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(printable(state.redacted(line), LONGEST) + "\n")


def _place(error: BaseException) -> str:
    """File and line of the innermost frame of vnsync's own code in the traceback."""
    home = str(Path(etl.__file__).parent)
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(home)]
    return f"{Path(own[-1].filename).relative_to(home)}:{own[-1].lineno}" if own else "an unknown place"
