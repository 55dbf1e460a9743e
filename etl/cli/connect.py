"""Objects that commands build from settings: the API client, the warehouse's engine, the recorder and the report."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl.cli.state import current_state
from etl.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded, Settings
    from etl.domain.ports import Clock, Report
    from etl.domain.recorder import RunRecorder, Tap
    from etl.extract.credentials import Credentials
    from etl.extract.jsonrpc import DataApi
    from etl.extract.rate_limiter import Pace


_DATABASES = "Use sqlite:///FILE or postgresql://USER@HOST/DATABASE"


@contextmanager
def data_api(
    loaded: Loaded,
    *,
    clock: Clock,
    report: Report,
    patience: float = math.inf,
    tap: Tap | None = None,
    pace: Pace | None = None,
) -> Iterator[DataApi]:
    """Client of the Data API that the settings name.

    `patience`: upper limit of seconds for retries, over the setting; `tap`: receives every exchange; `pace`: of the
    token's points, where other processes share them.
    """
    from random import SystemRandom

    from etl.domain.events import Notice
    from etl.extract.jsonrpc import open_api

    now = loaded.settings
    for warning in _loose_files(now):
        report(Notice(message=warning))
    with open_api(
        now.api_url,
        credentials(now),
        clock=clock,
        random=SystemRandom(),
        report=report,
        retry_max_seconds=min(now.retry_max_seconds, patience),
        tap=tap,
        pace=pace,
    ) as api:
        yield api


def _loose_files(settings: Settings) -> Iterator[str]:
    """One warning for each secret file that every user of this machine may read, or another user may write."""
    from etl.config.secret_file import risk_of

    for file in (settings.api_token_file, settings.api_password_file):
        if file and (risk := risk_of(file, group=False)):
            yield f"{file} {risk}: run `chmod 600 {file}` as its owner, or keep it in a file of your own"


def recording(loaded: Loaded, report: Report) -> tuple[RunRecorder, Tap | None]:
    """Recorder of a run and its exchange tap; `NO_RECORDER` and None when no archive is set."""
    from etl.domain.recorder import NO_RECORDER

    folder = loaded.settings.archive
    if folder is None:
        return NO_RECORDER, None
    from etl.archive.recorder import Recorder
    from etl.cli.archive_folder import group_writable, refuse_foreign
    from etl.domain.events import Notice

    refuse_foreign(folder.expanduser())
    for warning in group_writable(folder.expanduser()):
        report(Notice(message=warning))
    recorder = Recorder(folder.expanduser(), report)
    return recorder, recorder.received


def credentials(settings: Settings) -> Credentials:
    """Credentials: the key, or login and password. Raises Misconfigured when neither is set."""
    from etl.extract.credentials import Login, PermanentKey

    secrets = current_state().secrets
    key = settings.token()
    if key:
        secrets.append(key.get_secret_value())
        return PermanentKey(key.get_secret_value())
    session = settings.session_login()
    if session:
        login, password = session
        secrets.append(password.get_secret_value())
        return Login(login, password.get_secret_value())
    raise Misconfigured(
        "no API token is set",
        remedy="Put a permanent key into a file and name it in VNSYNC_API_TOKEN_FILE; or try `vnsync demo`.",
    )


def warehouse(loaded: Loaded) -> Engine:
    """Engine of the warehouse that the settings name; creates a SQLite file that does not exist yet."""
    from etl.store.engine import open_warehouse

    now = loaded.settings
    engine = open_warehouse(now.database_url.get_secret_value(), schema=now.database_schema)
    current_state().warehouse = engine
    return engine


def warehouse_name(loaded: Loaded) -> str:
    """The database URL without its password."""
    from etl.config.settings import shown
    from etl.report.wording import printable

    return printable(str(shown("database_url", loaded.settings.database_url)))


def is_there(loaded: Loaded) -> bool:
    """Whether the warehouse can hold anything: False only for a SQLite file that does not exist."""
    from pathlib import Path

    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(loaded.settings.database_url.get_secret_value())
    except (ArgumentError, ValueError):  # their text may quote a part of a password
        raise Misconfigured("the database URL cannot be read", remedy=_DATABASES) from None
    return url.get_backend_name() != "sqlite" or url.database is None or Path(url.database).exists()


@contextmanager
def reporting(loaded: Loaded, *, clock: Clock, level: str | None = None, progress: bool = True) -> Iterator[Report]:
    """Report of a command: progress when stderr is a terminal and the log's settings are the defaults, else log lines.

    `level`: log level to use when no log level is set; `progress`: False for log lines also on a terminal.
    """
    from etl.report.terminal.log import Log
    from etl.report.terminal.tables import is_terminal

    now = loaded.settings
    as_set = (now.log_format, now.log_level) == ("text", "info")
    if progress and as_set and sys.stderr is not None and is_terminal(sys.stderr):
        from etl.report.terminal.progress import progress as drawn

        with drawn(sys.stderr, now=clock.now, redact=current_state().redacted) as report:
            yield report
    else:
        wanted = level if level and loaded.origins["log_level"].kind == "default" else now.log_level
        as_json = now.log_format == "json"
        yield Log(sys.stderr, now=clock.now, json=as_json, level=wanted, redact=current_state().redacted)


@contextmanager
def in_a_run(report: Report) -> Iterator[Report]:
    """Report that holds a run's first events back until the run has its id, so that every log line carries the id."""
    from etl.domain.events import Event, RunPrepared

    early, begun = list[Event](), False

    def held_back(event: Event) -> None:
        nonlocal begun
        if not begun and not isinstance(event, RunPrepared):
            early.append(event)
            return
        report(event)
        begun = True
        while early:
            report(early.pop(0))

    try:
        yield held_back
    finally:  # events are left only if the run did not start
        for event in early:
            report(event)
