"""Fork server: forks one vnsync process after another, so that each is a real process without a new start of Python.

Requests come as JSON lines on stdin: `args`, `env`, `alone` (with no other environment), `cwd`, `out`, `err` (files),
`at` (where to be killed or halt: `points`). Answers go to stdout: `{"pid": N}`, then `{"halted": true}` each time it
stops itself, then `{"returncode": N, "peak": MiB}`.
A line that is a list of requests is a race: all at once, one answer `{"returncodes": [N, ...]}` at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, NoReturn

import psycopg  # noqa: F401 - loaded once, here, for all children
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite  # noqa: F401
from alembic import command  # noqa: F401

from etl.cli.main import run
from tests.stress import points


def main() -> None:
    """Fork for every line of stdin until its end."""
    _tell(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, list):
            pids = [_fork(each) for each in request]
            _tell(returncodes=[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
        else:
            pid = _fork(request)
            _tell(pid=pid)
            _follow(pid)


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if not pid:
        _become(request)
    return pid


def _follow(pid: int) -> None:
    while True:
        _, status, usage = os.wait4(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            _tell(returncode=os.waitstatus_to_exitcode(status), peak=usage.ru_maxrss / 1024)
            return
        _tell(halted=True)


def _become(request: dict[str, Any]) -> NoReturn:
    for number, path, mode in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(path, mode, 0o600), number)
    if request["alone"]:
        os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    code = 99
    try:
        if request["at"]:
            points.install(**request["at"])
        code = run(request["args"])
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)


def _tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
