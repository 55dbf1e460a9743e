"""From settings to what a command works with: the API, the warehouse, and somebody to report to."""

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

    from etl.domain.ports import Clock, Report
    from etl.extract.credentials import Credentials
    from etl.extract.jsonrpc import DataApi
    from etl.settings import Loaded, Settings


@contextmanager
def data_api(loaded: Loaded, *, clock: Clock, report: Report, patience: float = math.inf) -> Iterator[DataApi]:
    """The Data API as the settings say; `patience`: seconds of retries at most, whatever they say."""
    from random import SystemRandom

    from etl.extract.jsonrpc import open_api

    now = loaded.settings
    with open_api(
        now.api_url,
        credentials(now),
        clock=clock,
        random=SystemRandom(),
        report=report,
        retry_max_seconds=min(now.retry_max_seconds, patience),
    ) as api:
        yield api


def credentials(settings: Settings) -> Credentials:
    """The key, or login and password. Raises Misconfigured when neither is set."""
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
    """The warehouse as the settings say; a SQLite file that is not there yet is made."""
    from etl.store.engine import open_warehouse

    now = loaded.settings
    return open_warehouse(now.database_url.get_secret_value(), schema=now.database_schema)


def warehouse_name(loaded: Loaded) -> str:
    """The database URL without its password."""
    from etl.settings import shown

    return str(shown(loaded.settings.database_url))


def is_there(loaded: Loaded) -> bool:
    """Whether the warehouse can hold anything: False only for a SQLite file that does not exist."""
    from pathlib import Path

    from sqlalchemy.engine import make_url

    url = make_url(loaded.settings.database_url.get_secret_value())
    return url.get_backend_name() != "sqlite" or url.database is None or Path(url.database).exists()


@contextmanager
def reporting(loaded: Loaded, *, clock: Clock, level: str | None = None) -> Iterator[Report]:
    """Progress when stderr is a terminal and nothing else is asked for; else log lines.

    `level` stands for the log level where nobody set one.
    """
    from etl.report.log import Log
    from etl.report.tables import is_terminal

    now = loaded.settings
    if sys.stderr is not None and is_terminal(sys.stderr) and (now.log_format, now.log_level) == ("text", "info"):
        from etl.report.progress import progress

        with progress(sys.stderr, now=clock.now) as report:
            yield report
    else:
        wanted = level if level and loaded.origins["log_level"].kind == "default" else now.log_level
        as_json = now.log_format == "json"
        yield Log(sys.stderr, now=clock.now, json=as_json, level=wanted, redact=current_state().redacted)
