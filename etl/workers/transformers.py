"""Who transforms an account's pages: this process, page by page; or a process beside it (`beside`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from etl.transform.decode import Record
from etl.transform.page_rows import PageRows, SharedRows, Transformation
from etl.workers.spool import Extent, Spool

FEW = 2
"""Pages whose rows memory may hold."""


CheckCancelled = Callable[[], object]
"""Raises when there is something more important than waiting."""


def never_cancelled() -> None:
    """Heeds nothing."""


class Transformer(Protocol):
    """Takes pages while an account is listed, and gives their rows when it is."""

    def begin(self, records: Sequence[Record]) -> None:
        """One more page is there."""
        ...

    def pages(self) -> Iterator[PageRows]:
        """The rows of each page, in their order, once."""
        ...

    def shared(self) -> SharedRows:
        """What all pages together came to; to be asked for after the last."""
        ...


class Transformers(Protocol):
    """Finds somebody to transform an account of so many numbers, for as long as a block lasts."""

    def __call__(
        self, numbers: int, check_cancelled: CheckCancelled, /
    ) -> contextlib.AbstractContextManager[Transformer]:
        """The block; while it waits for somebody else, `check_cancelled` is called."""
        ...


@contextlib.contextmanager
def inline(_numbers: int, _check_cancelled: CheckCancelled) -> Iterator[Transformer]:
    """This process, as pages come."""
    transformer = _Inline()
    try:
        yield transformer
    finally:
        transformer.close()


class _Inline:
    """Transforms at once; the rows of a few pages stay in memory, those of others in a file."""

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
            self._rows[index] = (0, 0)  # memory holds no page longer than it is needed
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
