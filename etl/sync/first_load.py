"""First load: the pages of an account without rows in the warehouse, transformed while listed, written afterwards.

The rows carry the moment at which the listing was complete, so none of them can be written earlier.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import deque
from collections.abc import Iterator

from msgspec.structs import replace

from etl.extract.page import Page, Record
from etl.load.first import Batch
from etl.sync.page_processor import PageProcessor
from etl.workers.transformers import CheckCancelled, Transformer, Transformers


class FirstLoadPages:
    """Passes pages to a transformer, and yields their rows once all are listed.

    `check_cancelled`: see `Transformers`.
    """

    def __init__(self, transformers: Transformers, processor: PageProcessor, check_cancelled: CheckCancelled) -> None:
        self._transformers, self._processor, self._check_cancelled = transformers, processor, check_cancelled
        self._heads: deque[Page] = deque()
        """The pages without their records, for the time when their rows arrive."""
        self._transformer: Transformer | None = None
        self._until_the_end = contextlib.ExitStack()

    def __enter__(self) -> FirstLoadPages:
        return self

    def __exit__(self, *_: object) -> None:
        self._until_the_end.close()

    def take(self, page: Page, numbers: int) -> None:
        """Transform a page of an account that has about `numbers` numbers."""
        if self._transformer is None:
            self._transformer = self._until_the_end.enter_context(self._transformers(numbers, self._check_cancelled))
        self._transformer.begin([*page.records.values(), *page.unreadable])
        unreadable: list[Record] = [b""] * len(page.unreadable)  # only their count is needed
        self._heads.append(replace(page, records={}, ids=array("q", page.ids), unreadable=unreadable))

    def batches(self) -> Iterator[Batch]:
        """All rows, page by page; the rows that numbers share come last."""
        if self._transformer is None:
            return
        for rows in self._transformer.pages():
            yield self._processor.accept(self._heads.popleft(), rows)
        yield self._processor.adopt(self._transformer.shared())
