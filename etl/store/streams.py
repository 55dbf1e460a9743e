"""Streams: rows of a query in batches, from a connection that may be closed before they are all read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, CursorResult, Row

BATCH = 2_000
"""Rows of a streamed query that are held in memory."""
_OPEN = "vnsync_streams"


@contextlib.contextmanager
def closing_streams(connection: Connection) -> Iterator[None]:
    """Close streams that were not read to their end, for example because a signal stopped the reader."""
    with contextlib.ExitStack() as streams:
        connection.info[_OPEN] = streams
        yield


def stream(connection: Connection, statement: Any) -> Iterator[Row[Any]]:
    """The rows of a query, in batches: memory holds one batch, with either database. Within `closing_streams`."""
    options = {"stream_results": True, "yield_per": BATCH}
    result = connection.execute(statement, execution_options=options)
    connection.info[_OPEN].callback(_close, result)
    yield from result
    result.close()


def _close(result: CursorResult[Any]) -> None:
    with contextlib.suppress(Exception):
        result.close()
