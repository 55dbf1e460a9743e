"""Savings of processor time: work that every test would repeat is done once in each process.

`tests/conftest.py` names this module as a plugin.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator, MutableMapping
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

STATEMENTS = 5000
"""Number of compiled statements that are kept for each kind of database."""


@functools.cache
def _compiled(*kind: object) -> LRUCache[Any, Any]:
    """The compiled statements for one kind of database."""
    return LRUCache(STATEMENTS)


class SharedStatements(MutableMapping[Any, Any]):
    """An engine's compiled statements, shared with the other engines for its kind of database.

    Every test has its own engine, and SQLAlchemy compiles each statement once for each engine. The first part of its
    keys is the engine's dialect; the kind of database replaces it here.
    """

    def __init__(self, engine: Engine) -> None:
        dialect: Any = engine.dialect
        json = (dialect._json_serializer, dialect._json_deserializer)
        self._shared = _compiled(dialect.name, dialect.server_version_info, dialect.paramstyle, *json)

    def get(self, key: Any, default: Any = None) -> Any:
        return self._shared.get(key[1:], default)

    def __getitem__(self, key: Any) -> Any:
        return self._shared[key[1:]]

    def __setitem__(self, key: Any, compiled: Any) -> None:
        self._shared[key[1:]] = compiled

    def __delitem__(self, key: Any) -> None:
        del self._shared[key[1:]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._shared)

    def __len__(self) -> int:
        return len(self._shared)


@event.listens_for(Engine, "engine_connect")
def _share_statements(connection: Connection) -> None:
    engine = connection.engine
    if isinstance(engine._compiled_cache, LRUCache):
        engine._compiled_cache = SharedStatements(engine)


def pytest_collection_finish() -> None:
    """Exclude all imported and collected objects from garbage collection: they live as long as the process."""
    gc.collect()
    gc.freeze()
