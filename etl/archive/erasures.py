"""Records of erasures: that personal content was taken out of a run's responses, and what stands in its place."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from etl.archive.layout import ERASURE, Layout, listed
from etl.archive.records import read_record, write_record


class Erasure(Struct, frozen=True, kw_only=True):
    """One number of one account, in one run. `replaced`: digests of responses, before and after.

    `digests_before`: by which other runs knew the manifest; `manifest_after`: the digest of its bytes now.
    """

    run_id: int
    account_id: int
    virtual_number_id: int
    erased_at: datetime
    replaced: dict[str, str]
    digests_before: list[str]
    manifest_after: str

    def sentence(self) -> str:
        """The erasure in one line."""
        return (
            f"personal content of number {self.virtual_number_id} of account {self.account_id} was erased from "
            f"run {self.run_id} at {self.erased_at:%Y-%m-%d %H:%M:%S} UTC"
        )


def erasure_numbers(layout: Layout) -> list[int]:
    """The numbers of the records that are there."""
    return sorted(int(found[1]) for name in listed(layout.erasures) if (found := ERASURE.fullmatch(name)))


def read_erasures(layout: Layout) -> list[Erasure]:
    """All records, oldest first. Raises `IntegrityBroken` when one is damaged or missing."""
    numbers = erasure_numbers(layout)
    return [read_record(layout.erasures / f"{n}.json", Erasure) for n in numbers]


def write_erasure(layout: Layout, erasure: Erasure) -> None:
    """Add a record."""
    number = max(erasure_numbers(layout), default=0) + 1
    write_record(layout.erasures / f"{number}.json", erasure)
