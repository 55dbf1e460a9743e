"""Records of erasures: which responses lost a number's personal content, and which objects replace them.

Manifests are never rewritten. A response line names the response as received; the newest erasure record with the same
digest names the current object. Each record names the record before it, and each run names the newest record at its
start, so a head proves the erasures that were made before its run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from etl.archive.layout import ERASURE, Layout, listed, local_trouble, make_within, write_whole
from etl.archive.lines import Digest, Mark
from etl.archive.objects import digest_of
from etl.archive.personal import STAND_IN
from etl.archive.records import LARGEST, encoded, read_record
from etl.errors import IntegrityBroken, LocalTrouble

Place = Annotated[int, Meta(ge=0)]
_STAND_IN = digest_of(STAND_IN)


class Replaced(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One replaced response: `former`, its digest in the manifest; `now`, the digest of the object that replaces it.

    `records`: for each emptied record its index in the array (from 0) and its former digest; `rest`: the former digest
    of the bytes around the records, if they were replaced too.
    """

    former: Digest
    now: Digest
    records: list[tuple[Place, Digest]]
    rest: Digest | None = None

    @property
    def whole(self) -> bool:
        """Whether more than single records were replaced."""
        return self.rest is not None or self.now == _STAND_IN


class Erasure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Erasure of one number of one account. `previous`: the SHA-256 of the previous erasure's file."""

    number: int
    previous: Digest | None
    account_id: int
    virtual_number_id: int
    erased_at: datetime
    responses: list[Replaced]

    def sentence(self) -> str:
        """Describe the erasure in one line."""
        whole = sum(replaced.whole for replaced in self.responses)
        how = f", {whole} of them replaced as a whole," if whole else ""
        return (
            f"erasure {self.number}: personal content of number {self.virtual_number_id} of account {self.account_id}"
            f" was erased from responses ({len(self.responses)}){how} at {self.erased_at:%Y-%m-%d %H:%M:%S} UTC"
        )

    def repeats(self) -> bool:
        """Whether the erasure names a response twice, or the records of a response out of order."""
        named = [replaced.former for replaced in self.responses]
        places = [[place for place, _ in replaced.records] for replaced in self.responses]
        return len(set(named)) < len(named) or any(p != sorted(set(p)) for p in places)


class Erasures(Struct):
    """Erasure records of an archive in order, and an index of them by response."""

    entries: list[Erasure] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    """Number and digest of each record's file."""
    _of: dict[str, list[tuple[Erasure, Replaced]]] = field(default_factory=dict)

    def add(self, erasure: Erasure, sha256: str) -> None:
        """Add the next record."""
        self.entries.append(erasure)
        self.marks.append(Mark(number=erasure.number, sha256=sha256))
        for replaced in erasure.responses:
            self._of.setdefault(replaced.former, []).append((erasure, replaced))

    @property
    def newest(self) -> Mark | None:
        """Number and digest of the newest record; None when there is none."""
        return self.marks[-1] if self.marks else None

    @property
    def formers(self) -> Iterator[str]:
        """Digests, in manifests, of the responses that were erased from."""
        return iter(self._of)

    def of(self, former: str) -> list[tuple[Erasure, Replaced]]:
        """Erasures of a response, oldest first."""
        return self._of.get(former, [])

    def now(self, digest: str) -> str:
        """Digest of the current object of a response."""
        found = self._of.get(digest)
        return found[-1][1].now if found else digest


def erasure_numbers(layout: Layout) -> list[int]:
    """Numbers of the existing erasure records, in ascending order."""
    return sorted(int(found[1]) for name in listed(layout.erasures) if (found := ERASURE.fullmatch(name)))


def read_erasures(layout: Layout) -> Erasures:
    """All records. Raises `IntegrityBroken` when one is damaged or missing, or does not follow the previous one."""
    found = Erasures()
    for number, in_name in enumerate(erasure_numbers(layout), 1):
        path = layout.erasure(in_name)
        erasure, content = read_record(layout, path, Erasure)
        before = found.newest.sha256 if found.newest else None
        if in_name != number or erasure.number != number or erasure.previous != before:
            raise IntegrityBroken(f"{path} does not follow the previous erasure", remedy="Restore the archive")
        if erasure.repeats():
            raise IntegrityBroken(f"{path} names a response or a record twice", remedy="Restore the archive")
        found.add(erasure, hashlib.sha256(content).hexdigest())
    return found


def newest_mark(layout: Layout) -> Mark | None:
    """Number and digest of the newest record, whose content is not parsed; None when there is no record."""
    numbers = erasure_numbers(layout)
    if not numbers:
        return None
    content = layout.read(layout.erasure(numbers[-1]), LARGEST)
    return Mark(number=numbers[-1], sha256=hashlib.sha256(content).hexdigest())


def write_erasure(layout: Layout, erasure: Erasure) -> str:
    """Write a record, durable on return, and return the SHA-256 of its file.

    Raises `LocalTrouble` when the record would be too large to be read again.
    """
    content = encoded(erasure)
    if len(content) > LARGEST:
        raise LocalTrouble(f"the record of the erasure would be larger than {LARGEST} bytes", remedy="Prune first")
    with local_trouble(layout.erasures):
        make_within(layout.erasures)
    write_whole(layout.erasure(erasure.number), content)
    return hashlib.sha256(content).hexdigest()
