"""Incremental state of an account sync: fingerprints of the listing, by which unchanged pages and records are skipped.

A record may be skipped only if its number's current rows equal the record. So no fingerprint is kept of a record that
was refused, even in part, or that came twice, nor of an account whose records contradict each other or omit shared
rows. The drift that a skipped window showed the last time is noted again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import compress

from msgspec import Struct
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
"""Version of the code that makes rows of records. Another version may make other rows, so it reads every record."""
_NO_RECORDS = Records((), b"", ())


class _ReadWindow(Struct, frozen=True):
    """A window that was read: its ids (`came`), and the ids of the last listing (`known`) if they were compared."""

    window: Window
    ids: Sequence[int]
    known: Sequence[int] | None


def remembered(connection: Connection, account_id: int) -> ListingPrint | None:
    """The fingerprints of the account's last listing, if this version may use them."""
    return fingerprints.read(connection, account_id, VERSION)


class IncrementalState:
    """Fingerprints in one account sync: of the last listing (`before`; None: there are none), and of this one."""

    def __init__(self, before: ListingPrint | None, normalizer: Normalizer) -> None:
        usable = before is not None and all(map(_is_known, _drift_entries(before)))
        self._before = before if before is not None and usable else ListingPrint()
        self._normalizer = normalizer
        self._kept: list[WindowPrint] = []
        self._new: list[WindowPrint] = []
        self._read: list[_ReadWindow] = []
        self._by_windows = True
        self.skipped = False
        """Whether some record was not read because it was unchanged."""

    def windows(self, limit: int) -> tuple[WindowPrint, ...]:
        """The windows of the last listing, ascending, if they still fit `limit`; otherwise none."""
        before = self._before.windows
        return before if still_fit([w.window for w in before], sum(w.numbers for w in before), limit) else ()

    @property
    def numbers(self) -> int:
        """The count of numbers in the fingerprints of the last listing."""
        return sum(one.numbers for one in self._before.windows)

    @property
    def empty(self) -> bool:
        """Whether there are no fingerprints of a last listing."""
        return not self._before.windows

    # -- while listing

    def keep(self, before: WindowPrint) -> None:
        """Keep the fingerprints of an unchanged page, of which no record is read."""
        self._kept.append(before)
        self._note_drift(before.drift_entries)
        self.skipped = True

    def take(
        self,
        page: Page,
        phones: Mapping[int, int],
        drift_entries: Collection[DriftEntry],
        partly_read: Collection[int] = (),
    ) -> None:
        """Add a page that was read. `phones`: the phone keys of the usable numbers, by number id.

        `partly_read`: usable numbers with an element that could not be used; no fingerprint of their records is kept.

        A page without a window is the whole account: pages before it used a filter that was then refused: all empty.
        """
        if page.window is None:
            self._read.clear()
            self._kept.clear()
        known = page.known.ids if page.known is not None else None
        came = page.ids if isinstance(page.ids, array) else array("q", page.ids)
        self._read.append(_ReadWindow(page.window or WHOLE, came, known))
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
        """The usable records of a page, including the unchanged ones; none if a number came twice."""
        if page.duplicates or page.conflicts:
            return _NO_RECORDS
        keys = self._with_known(page, phones) if page.known is not None else list(map(phones.get, came))
        there = [(at, key) for at, key in enumerate(keys) if key is not None]
        phones_there = array("q", [key for _, key in there])
        if len(there) == len(keys):
            return Records(came, page.digests, phones_there)
        digests = b"".join([page.digests[at * DIGEST : (at + 1) * DIGEST] for at, _ in there])
        return Records(array("q", [came[at] for at, _ in there]), digests, phones_there)

    def _with_known(self, page: Page, phones: Mapping[int, int]) -> list[int | None]:
        """The phone key of each number of a page, both of records that were read and of unchanged ones."""
        known, places = page.known.phones if page.known is not None else (), page.places
        unchanged = compress(page.ids, [place is not None for place in places])
        self._normalizer.phones.add([known[place] for place in places if place is not None], list(unchanged))
        return [
            known[place] if place is not None else phones.get(number_id)
            for number_id, place in zip(page.ids, places, strict=True)
        ]

    def _note_drift(self, drift_entries: Collection[DriftEntry]) -> None:
        for path, kind, value in drift_entries:
            self._normalizer.drift.note(path, DriftKind(kind), value)

    # -- when the listing is complete

    def nothing_missing(self, open_numbers: int) -> bool:
        """Whether the listing has all open numbers, by their count: numbers of unchanged pages are open."""
        return not self._read and sum(one.numbers for one in self._kept) == open_numbers

    def missing(self, open_numbers: int, open_ids: Callable[[], Sequence[int]]) -> list[int]:
        """The account's open numbers that are missing from the listing, ascending.

        `open_ids`: all open numbers, ascending; called only if the fingerprints do not have them all.
        """
        if self._last_listing_is_open(open_numbers):
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

    def _last_listing_is_open(self, open_numbers: int) -> bool:
        """Whether the open numbers are those of the last listing, of which each record could be used; and every window
        is unchanged, or was compared with its last ids.
        """
        before = self._before.windows
        same = len(before) == len(self._kept) + len(self._read) and all(one.known is not None for one in self._read)
        return same and all(one.digest for one in before) and sum(one.numbers for one in before) == open_numbers

    def complete(self) -> None:
        """Add to the normalizer what needs all numbers, from the fingerprints of the kept windows."""
        if not self._read:
            self._note_drift(self._before.drift_entries)
            return
        for one in self._kept:
            records = one.records()
            self._normalizer.phones.add(records.phones, records.ids)

    def write(self, connection: Connection, stamp: PublicationStamp) -> None:
        """Write the fingerprints of this listing, in the transaction that publishes it."""
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
