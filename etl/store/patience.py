"""Retry of connecting to a full server: PostgreSQL counts a closed connection until its process has ended."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, event

from etl.errors import NoConnectionFree
from etl.store.connecting import by_words, telling_line

SECONDS = 1.5
"""How long a connection is retried. A pooler waits by itself before it refuses."""
PAUSE = 0.1


def prepare(engine: Engine) -> None:
    """Add the retry to a new engine for PostgreSQL."""
    event.listen(engine, "do_connect", _connect)


def _connect(dialect: Any, _record: object, words: list[Any], options: dict[str, Any]) -> Any:
    end = time.monotonic() + SECONDS
    while True:
        try:
            return dialect.connect(*words, **options)
        except dialect.loaded_dbapi.OperationalError as exc:
            full = isinstance(by_words(telling_line(str(exc))), NoConnectionFree)
            if not full or time.monotonic() > end:
                raise
        time.sleep(PAUSE)
