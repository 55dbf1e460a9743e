"""What a sync remembers of a listing, and what the last one's memory spares it: pages as before, records as before.

Skipping a record is right when its number's current rows are what the record says. So nothing is remembered of records
that were refused or came twice, nor of an account whose records contradict each other or leave out what numbers share;
and the departures of the source that a skipped window showed are noted again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from etl.domain.fingerprints import Departure, ListingPrint, Records, WindowPrint
from etl.domain.windows import WHOLE, Window, still_fit
from etl.extract.page import Page
from etl.store import fingerprints
from etl.store.fingerprints import Origin
from etl.transform.drift import DriftKind, DriftLog
from etl.transform.normalize import Normalizer

_NOTHING = Records((), b"", ())


class ListingMemory:
    """The memory of one account sync: of the last listing (`before`, None: of none), and of this one."""

    def __init__(self, before: ListingPrint | None, normalizer: Normalizer, drift: DriftLog) -> None:
        self._before, self._normalizer, self._drift = before or ListingPrint(), normalizer, drift
        self._kept: list[WindowPrint] = []
        self._new: list[WindowPrint] = []
        self._read: list[tuple[Window, Sequence[int]]] = []
        self._by_windows = True
        self.skipped = False
        """Whether some record was not read, for it was as before."""

    def windows(self, limit: int) -> tuple[WindowPrint, ...]:
        """The windows of the last listing, ascending, where they fit once more; else none."""
        before = self._before.windows
        return before if still_fit([w.window for w in before], sum(w.numbers for w in before), limit) else ()

    @property
    def empty(self) -> bool:
        """Whether nothing of a last listing is remembered."""
        return not self._before.windows

    # -- while listing

    def keep(self, before: WindowPrint) -> None:
        """A page is as before: nothing of it is read."""
        self._kept.append(before)
        self._note(before.departures)
        self.skipped = True

    def take(self, page: Page, usable: Sequence[int], noted: Collection[Departure]) -> None:
        """A page was read: the numbers with these ids could be used, and these departures were noted.

        One without a window is of the whole account: windows before it, of a filter that was then refused, were empty.
        """
        if page.window is None:
            self._read.clear()
            self._kept.clear()
        self._read.append((page.window or WHOLE, array("q", page.ids)))
        self.skipped |= bool(page.unchanged)
        if page.window is None or not fingerprints.storable(page.window):
            self._by_windows = False
            return
        records = self._records(page, usable)
        clean = not page.unreadable and len(records.ids) == len(page.ids)
        one = WindowPrint(
            window=page.window,
            digest=page.digest if clean else b"",
            numbers=len(page.ids),
            witnesses=page.witnesses,
            departures=tuple(noted),
            records=lambda: records,
        )
        self._new.append(one)

    def _records(self, page: Page, usable: Sequence[int]) -> Records:
        """The usable records of a page, those that are as before among them; none where a number came twice."""
        phones = dict(zip(usable, self._normalizer.phones.latest(len(usable)), strict=True))
        if page.unchanged and page.known is not None:
            known = page.known.phones
            as_before = {number_id: known[place] for number_id, place in page.unchanged.items()}
            self._normalizer.phones.recall(list(as_before.values()), list(as_before))
            phones |= as_before
        if page.duplicates or page.conflicts:
            return _NOTHING
        ids = [i for i in page.ids if i in phones]
        digests = b"".join([page.digests[i] for i in ids])
        return Records(array("q", ids), digests, array("q", [phones[i] for i in ids]))

    def _note(self, departures: Collection[Departure]) -> None:
        for path, kind, value in departures:
            self._drift.note(path, DriftKind(kind), value)

    # -- when all is listed

    def nothing_missing(self, open_numbers: int) -> bool:
        """Whether the listing told of all the open numbers, by their count: what is kept is open."""
        return not self._read and sum(one.numbers for one in self._kept) == open_numbers

    def missing(self, open_ids: Sequence[int]) -> list[int]:
        """Those of the account's open ids (ascending) that the listing did not tell of, ascending."""
        missing: list[int] = []
        for window, ids in self._read:
            missing += _absent(_within(open_ids, window), ids)
        for one in self._kept:
            wanted = _within(open_ids, one.window)
            if len(wanted) != one.numbers:
                missing += _absent(wanted, one.records().ids)
        return sorted(missing)

    def complete(self) -> None:
        """Recall of the windows that were kept what only all numbers together tell."""
        if not self._read:
            self._note(self._before.departures)
            return
        for one in self._kept:
            records = one.records()
            self._normalizer.phones.recall(records.phones, records.ids)

    def write(self, connection: Connection, account_id: int, origin: Origin) -> None:
        """Remember this listing in the transaction that publishes it."""
        if not self._by_windows or self._normalizer.conflicts or self._normalizer.unreported_shared:
            fingerprints.forget(connection, account_id)
            return
        repeated = [d for d in self._drift.seen if d.kind is DriftKind.REPEATED_VALUE]
        fingerprints.write(
            connection,
            account_id,
            origin,
            kept=[one.window for one in self._kept],
            new=self._new,
            departures=tuple(d.plain for d in repeated),
        )


def _within(ascending: Sequence[int], window: Window) -> Sequence[int]:
    low = 0 if window.after is None else bisect_right(ascending, window.after)
    high = len(ascending) if window.upto is None else bisect_right(ascending, window.upto)
    return ascending[low:high]


def _absent(wanted: Sequence[int], came: Sequence[int]) -> list[int]:
    there = set(came)
    return [number_id for number_id in wanted if number_id not in there]
