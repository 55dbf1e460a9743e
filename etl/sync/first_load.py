"""First load: an account of which the warehouse has nothing is transformed while it is listed, and written when whole.

Its rows carry the moment at which the listing was whole, so none of them can be written earlier.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from etl.extract.page import Page, Record
from etl.load.first import Batch
from etl.sync.page_processor import PageProcessor
from etl.workers.transformers import CheckCancelled, Transformer, Transformers


class FirstLoadPages:
    """Passes pages to a transformer, and gives their rows once all are listed.

    `check_cancelled`: see `Transformers`.
    """

    def __init__(self, transformers: Transformers, processor: PageProcessor, check_cancelled: CheckCancelled) -> None:
        self._transformers, self._processor, self._check_cancelled = transformers, processor, check_cancelled
        self._heads: deque[Page] = deque()
        """Of each page what is needed when its rows come: all but its records."""
        self._transformer: Transformer | None = None
        self._until_the_end = contextlib.ExitStack()

    def __enter__(self) -> FirstLoadPages:
        return self

    def __exit__(self, *_: object) -> None:
        self._until_the_end.close()

    def take(self, page: Page, numbers: int) -> None:
        """A page was listed, of an account that has about so many numbers."""
        if self._transformer is None:
            self._transformer = self._until_the_end.enter_context(self._transformers(numbers, self._check_cancelled))
        self._transformer.begin([*page.records.values(), *page.unreadable])
        unreadable: list[Record] = [b""] * len(page.unreadable)  # of these only the count is needed
        self._heads.append(replace(page, records={}, ids=array("q", page.ids), unreadable=unreadable))

    def batches(self) -> Iterator[Batch]:
        """All rows, page by page; those that numbers share at the end."""
        if self._transformer is None:
            return
        for rows in self._transformer.pages():
            yield self._processor.accept(self._heads.popleft(), rows)
        yield self._processor.adopt(self._transformer.shared())
