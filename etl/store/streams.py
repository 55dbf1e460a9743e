"""Rows of a query in batches, of a connection that may be closed while somebody still reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, CursorResult, Row

BATCH = 2_000
"""Rows that memory holds of a query that is streamed."""
_OPEN = "vnsync_streams"


@contextlib.contextmanager
def closing_streams(connection: Connection) -> Iterator[None]:
    """Close what was not read to its end: a signal stops a reader, but not whoever holds its rows."""
    with contextlib.ExitStack() as streams:
        connection.info[_OPEN] = streams
        yield


def stream(connection: Connection, statement: Any) -> Iterator[Row[Any]]:
    """The rows of a query, in batches: memory holds one of them, on either database. Within `closing_streams`."""
    options = {"stream_results": True, "yield_per": BATCH}
    result = connection.execute(statement, execution_options=options)
    connection.info[_OPEN].callback(_close, result)
    yield from result
    result.close()


def _close(result: CursorResult[Any]) -> None:
    with contextlib.suppress(Exception):
        result.close()
