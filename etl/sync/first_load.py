"""The pages of an account of which the warehouse has nothing: transformed while it is listed, written when it is whole.

Its rows carry the moment at which the listing was whole, so none of them can be written earlier.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from etl.domain import tables
from etl.domain.columns import Columns
from etl.extract.page import Page, Record
from etl.load.first import Batch
from etl.load.incremental import IncrementalState
from etl.transform.decode import Rejected, partly_read
from etl.transform.drift import DriftKind, DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.page_rows import PageRows
from etl.workers.transformers import CheckCancelled, Transformer, Transformers


class FirstListing:
    """Takes pages, gives batches of rows, and tells the rest of the sync what they showed.

    `admit`: is shown the numbers of each page before their rows are given, and may raise; `check_cancelled`: see
    `Transformers`.
    """

    def __init__(
        self,
        transformers: Transformers,
        *,
        memory: IncrementalState,
        normalizer: Normalizer,
        drift: DriftLog,
        rejected: list[Rejected],
        admit: Callable[[Columns], None],
        check_cancelled: CheckCancelled,
    ) -> None:
        self._transformers, self._admit, self._check_cancelled = transformers, admit, check_cancelled
        self._memory, self._normalizer, self._drift, self._rejected = memory, normalizer, drift, rejected
        self._heads: deque[Page] = deque()
        """Of each page what is needed when its rows come: all but its records."""
        self._transformer: Transformer | None = None
        self._until_the_end = contextlib.ExitStack()

    def __enter__(self) -> FirstListing:
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
        with _no_fault_of_the_database():
            for rows in self._transformer.pages():
                yield self._noted(self._heads.popleft(), rows)
            shared = self._transformer.shared()
        self._normalizer.adopt(
            shared.rows,
            conflicts=shared.conflicts,
            unreported=shared.unreported,
            of_shared=shared.unreported_shared,
        )
        yield {n: Columns.of(tables.BY_NAME[n], rows) for n, rows in self._normalizer.shared_rows().items() if rows}

    def _noted(self, page: Page, rows: PageRows) -> Mapping[str, Columns]:
        made = {name: Columns(tables.BY_NAME[name], values) for name, values in rows.tables.items()}
        if tables.VIRTUAL_NUMBERS.name in made:
            self._admit(made[tables.VIRTUAL_NUMBERS.name])
        self._rejected += rows.rejected
        for path, kind, value in rows.drift_entries:
            self._drift.note(path, DriftKind(kind), value)
        self._normalizer.phones.recall(rows.phones, rows.ids)
        self._memory.take(page, rows.ids, rows.drift_entries, partly_read(rows.rejected))
        return made


@contextlib.contextmanager
def _no_fault_of_the_database() -> Iterator[None]:
    """Rows are asked for while they are written, where a ValueError is taken for a value that cannot be stored."""
    try:
        yield
    except ValueError as exc:
        raise RuntimeError(f"transforming a first load: {exc}") from exc
