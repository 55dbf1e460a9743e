"""Patience with a server that has no connection left: it counts a closed one until its process there has ended."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, event

from etl.errors import NoConnectionFree
from etl.store.connecting import by_words, telling_line

SECONDS = 1.5
"""How long a connection is asked for again; a pooler that refuses has waited by itself."""
PAUSE = 0.1


def prepare(engine: Engine) -> None:
    """Make a new engine for PostgreSQL patient."""
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
