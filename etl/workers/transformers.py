"""Interfaces of the transformer of an account's pages, and the transformer that works in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from etl.transform.decode import Record
from etl.transform.page_rows import PageRows, SharedRows, Transformation
from etl.workers.spool import Extent, Spool

FEW = 2
"""Number of pages whose rows are kept in memory."""


CheckCancelled = Callable[[], object]
"""Function that raises when the caller should stop waiting."""


def never_cancelled() -> None:
    """Never raise: for callers that cannot be cancelled."""


class Transformer(Protocol):
    """Transformer of one account: takes pages while the account is listed, and returns their rows afterwards."""

    def begin(self, records: Sequence[Record]) -> None:
        """Submit one page."""
        ...

    def pages(self) -> Iterator[PageRows]:
        """Yield the rows of each page in order; can be iterated once."""
        ...

    def shared(self) -> SharedRows:
        """Shared rows of all pages; call it after the last page."""
        ...


class Transformers(Protocol):
    """Provider of a transformer for an account of a given size, for the duration of a context."""

    def __call__(
        self, numbers: int, check_cancelled: CheckCancelled, /
    ) -> contextlib.AbstractContextManager[Transformer]:
        """Context with the transformer, which calls `check_cancelled` while it waits for another process."""
        ...


@contextlib.contextmanager
def inline(_numbers: int, _check_cancelled: CheckCancelled) -> Iterator[Transformer]:
    """Transformer that works in this process, when each page is submitted."""
    transformer = _Inline()
    try:
        yield transformer
    finally:
        transformer.close()


class _Inline:
    """Transformer that works at once; rows of a few pages stay in memory, rows of further pages go to a file."""

    def __init__(self) -> None:
        self._transformation = Transformation()
        self._rows: list[PageRows | Extent] = []
        self._spool: Spool | None = None

    def begin(self, records: Sequence[Record]) -> None:
        rows = self._transformation.records(records)
        self._rows.append(rows if len(self._rows) < FEW else self._kept(rows))

    def _kept(self, rows: PageRows) -> Extent:
        self._spool = self._spool or Spool()
        return self._spool.add(encode(rows))

    def pages(self) -> Iterator[PageRows]:
        for index, rows in enumerate(self._rows):
            self._rows[index] = (0, 0)  # release each page's rows as soon as they are used
            yield rows if isinstance(rows, PageRows) else self._read(rows)

    def _read(self, extent: Extent) -> PageRows:
        assert self._spool is not None
        return decode_rows(self._spool.part(extent))

    def shared(self) -> SharedRows:
        return self._transformation.shared()

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()


encode = msgspec.msgpack.Encoder().encode
decode_rows = msgspec.msgpack.Decoder(PageRows).decode
decode_shared = msgspec.msgpack.Decoder(SharedRows).decode
