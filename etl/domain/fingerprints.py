"""Fingerprints of an account's last listing: digests by which unchanged bytes are recognized and not decoded again.

They are only a shortcut: any part may be deleted at any time, and the next sync reads that part again. The digest of a
record means that the number's current rows were made of these bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from etl.domain.windows import Window

DIGEST = 16
"""Bytes of a record's digest."""

DriftEntry = tuple[str, str, str]
"""One difference of the source: path, kind, value."""


class Records(Struct, frozen=True):
    """Records of a window, one by one: ids, digests end to end, and the keys of their phones."""

    ids: Sequence[int]
    digests: bytes
    phones: Sequence[int]

    def places(self) -> dict[bytes, int]:
        """Position in the window of the record with each digest."""
        starts = range(0, len(self.digests), DIGEST)
        return {self.digests[start : start + DIGEST]: place for place, start in enumerate(starts)}


class WindowPrint(Struct, frozen=True, kw_only=True):
    """Fingerprint of a window. `digest`: of all its records' bytes; empty if they must be decoded in any case.

    `numbers`: how many it held; `control_ids`: ids that may serve as such; `drift_entries`: of its records; `records`:
    returns the fingerprint of each record, which is fetched then.
    """

    window: Window
    digest: bytes
    numbers: int
    control_ids: tuple[int, ...]
    drift_entries: tuple[DriftEntry, ...]
    records: Callable[[], Records]


class ListingPrint(Struct, frozen=True, kw_only=True):
    """Fingerprint of a listing: its windows, ascending, and the drift that only all numbers together show."""

    windows: tuple[WindowPrint, ...] = ()
    drift_entries: tuple[DriftEntry, ...] = ()
