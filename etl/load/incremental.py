"""What a sync remembers of a listing, and what the last one's memory spares it: pages as before, records as before.

Skipping a record is right when its number's current rows are what the record says. So nothing is remembered of records
that were refused, be it in part, or came twice, nor of an account whose records contradict each other or leave out
what numbers share; and the departures of the source that a skipped window showed are noted again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from sqlalchemy import Connection

import etl
from etl.domain.fingerprints import DIGEST, DriftEntry, ListingPrint, Records, WindowPrint
from etl.domain.windows import WHOLE, Window, still_fit
from etl.extract.page import Page
from etl.load.diff import PublicationStamp
from etl.store import fingerprints
from etl.store.fingerprints import Origin
from etl.transform.drift import DriftKind
from etl.transform.normalize import ROWS_VERSION, Normalizer

VERSION = f"{etl.__version__}/{ROWS_VERSION}"
"""What made rows of the records: another version makes other rows, so it reads every record anew."""
_NOTHING = Records((), b"", ())


@dataclass(frozen=True)
class _Read:
    """A window that was read: the ids that came, and those that it held the last time, where they were compared."""

    window: Window
    ids: Sequence[int]
    known: Sequence[int] | None


def remembered(connection: Connection, account_id: int) -> ListingPrint | None:
    """What this version may use of what is remembered of the account's last listing."""
    return fingerprints.read(connection, account_id, VERSION)


class IncrementalState:
    """The memory of one account sync: of the last listing (`before`, None: of none), and of this one."""

    def __init__(self, before: ListingPrint | None, normalizer: Normalizer) -> None:
        usable = before is not None and all(map(_is_known, _drift_entries(before)))
        self._before = before if before is not None and usable else ListingPrint()
        self._normalizer = normalizer
        self._kept: list[WindowPrint] = []
        self._new: list[WindowPrint] = []
        self._read: list[_Read] = []
        self._by_windows = True
        self.skipped = False
        """Whether some record was not read, for it was as before."""

    def windows(self, limit: int) -> tuple[WindowPrint, ...]:
        """The windows of the last listing, ascending, where they fit once more; else none."""
        before = self._before.windows
        return before if still_fit([w.window for w in before], sum(w.numbers for w in before), limit) else ()

    @property
    def numbers(self) -> int:
        """How many numbers the last listing had, as far as it is remembered."""
        return sum(one.numbers for one in self._before.windows)

    @property
    def empty(self) -> bool:
        """Whether nothing of a last listing is remembered."""
        return not self._before.windows

    # -- while listing

    def keep(self, before: WindowPrint) -> None:
        """A page is as before: nothing of it is read."""
        self._kept.append(before)
        self._note(before.drift_entries)
        self.skipped = True

    def take(
        self,
        page: Page,
        phones: Mapping[int, int],
        drift_entries: Collection[DriftEntry],
        partly_read: Collection[int] = (),
    ) -> None:
        """A page was read. `phones`: of the usable numbers, the keys of their phones by id.

        `partly_read`: those of them of which some element could not be used; their records are not remembered.

        One without a window is of the whole account: windows before it, of a filter that was then refused, were empty.
        """
        if page.window is None:
            self._read.clear()
            self._kept.clear()
        known = page.known.ids if page.known is not None else None
        came = page.ids if isinstance(page.ids, array) else array("q", page.ids)
        self._read.append(_Read(page.window or WHOLE, came, known))
        self.skipped |= bool(page.unchanged)
        if page.window is None or not fingerprints.storable(page.window):
            self._by_windows = False
            return
        records = self._records(page, came, {i: key for i, key in phones.items() if i not in partly_read})
        clean = not page.unreadable and len(records.ids) == len(page.ids)
        one = WindowPrint(
            window=page.window,
            digest=page.digest if clean else b"",
            numbers=len(page.ids),
            control_ids=page.control_ids,
            drift_entries=tuple(drift_entries),
            records=lambda: records,
        )
        self._new.append(one)

    def _records(self, page: Page, came: array[int], phones: Mapping[int, int]) -> Records:
        """The usable records of a page, those that are as before among them; none where a number came twice."""
        if page.duplicates or page.conflicts:
            return _NOTHING
        keys = self._with_known(page, phones) if page.known is not None else list(map(phones.get, came))
        there = [(at, key) for at, key in enumerate(keys) if key is not None]
        phones_there = array("q", [key for _, key in there])
        if len(there) == len(keys):
            return Records(came, page.digests, phones_there)
        digests = b"".join([page.digests[at * DIGEST : (at + 1) * DIGEST] for at, _ in there])
        return Records(array("q", [came[at] for at, _ in there]), digests, phones_there)

    def _with_known(self, page: Page, phones: Mapping[int, int]) -> list[int | None]:
        """The phone of each number of a page: of those that were read now, and those that are as before."""
        known, places = page.known.phones if page.known is not None else (), page.places
        as_before = compress(page.ids, [place is not None for place in places])
        self._normalizer.phones.add([known[place] for place in places if place is not None], list(as_before))
        return [
            known[place] if place is not None else phones.get(number_id)
            for number_id, place in zip(page.ids, places, strict=True)
        ]

    def _note(self, drift_entries: Collection[DriftEntry]) -> None:
        for path, kind, value in drift_entries:
            self._normalizer.drift.note(path, DriftKind(kind), value)

    # -- when all is listed

    def nothing_missing(self, open_numbers: int) -> bool:
        """Whether the listing told of all the open numbers, by their count: what is kept is open."""
        return not self._read and sum(one.numbers for one in self._kept) == open_numbers

    def missing(self, open_numbers: int, open_ids: Callable[[], Sequence[int]]) -> list[int]:
        """Those of the account's open numbers that the listing did not tell of, ascending.

        `open_ids`: all of them, ascending; asked for where what is remembered does not tell them.
        """
        if self._remembers_all(open_numbers):
            return sorted(i for one in self._read for i in _absent(one.known or (), one.ids))
        missing: list[int] = []
        ids = open_ids()
        for one in self._read:
            missing += _absent(_within(ids, one.window), one.ids)
        for kept in self._kept:
            wanted = _within(ids, kept.window)
            if len(wanted) != kept.numbers:
                missing += _absent(wanted, kept.records().ids)
        return sorted(missing)

    def _remembers_all(self, open_numbers: int) -> bool:
        """Whether the open numbers are those that were listed last time, of which each record could be used; and
        every window is as before, or was compared with what it held then.
        """
        before = self._before.windows
        same = len(before) == len(self._kept) + len(self._read) and all(one.known is not None for one in self._read)
        return same and all(one.digest for one in before) and sum(one.numbers for one in before) == open_numbers

    def complete(self) -> None:
        """Recall of the windows that were kept what only all numbers together tell."""
        if not self._read:
            self._note(self._before.drift_entries)
            return
        for one in self._kept:
            records = one.records()
            self._normalizer.phones.add(records.phones, records.ids)

    def write(self, connection: Connection, stamp: PublicationStamp) -> None:
        """Remember this listing in the transaction that publishes it."""
        account_id = stamp.account_id
        origin = Origin(run_id=stamp.run_id, observed_at=stamp.observed_at, version=VERSION)
        if not self._by_windows or self._normalizer.conflicts or self._normalizer.unreported_shared:
            fingerprints.forget(connection, account_id)
            return
        repeated = tuple(d.plain for d in self._normalizer.drift.seen if d.kind is DriftKind.REPEATED_VALUE)
        if not self._new and len(self._kept) == len(self._before.windows):
            fingerprints.renew(connection, account_id, origin, drift_entries=repeated)
            return
        fingerprints.write(
            connection,
            account_id,
            origin,
            kept=[one.window for one in self._kept],
            new=self._new,
            drift_entries=repeated,
        )


def _drift_entries(before: ListingPrint) -> Iterator[DriftEntry]:
    yield from before.drift_entries
    for one in before.windows:
        yield from one.drift_entries


def _is_known(drift_entry: DriftEntry) -> bool:
    return any(drift_entry[1] == kind.value for kind in DriftKind)


def _within(ascending: Sequence[int], window: Window) -> Sequence[int]:
    low = 0 if window.after is None else bisect_right(ascending, window.after)
    high = len(ascending) if window.upto is None else bisect_right(ascending, window.upto)
    return ascending[low:high]


def _absent(wanted: Sequence[int], came: Sequence[int]) -> list[int]:
    there = set(came)
    return [number_id for number_id in wanted if number_id not in there]
