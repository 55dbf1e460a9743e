"""Listing one account whole, on an API whose rows move while one pages: by id windows, or by offsets where it must.

The listing hands out each window's records as they came. It believes no answer that disagrees with itself, and it
proves that a number is gone before anything else may call it so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from etl.domain.runs import Strategy
from etl.domain.windows import Again, Answer, Refuse, Split, Take, Window, WindowPlan
from etl.errors import FilterRefused, SourceUnusable
from etl.extract.jsonrpc import DataApi

METHOD = "get.virtual_numbers"
LIMIT = 10_000
"""The API's largest page."""
OFFSET_WALL = 110_000
"""How many rows offsets can reach: the largest offset and the page behind it."""
WITNESSES = 3


class _WithId(msgspec.Struct, gc=False):
    id: int


_split = msgspec.json.Decoder(list[msgspec.Raw])
_ids = msgspec.json.Decoder(list[_WithId])
_id = msgspec.json.Decoder(_WithId)

Record = bytes | msgspec.Raw
"""One record's JSON as the source sent it."""


@dataclass(frozen=True)
class Page:
    """Records of one answer, each number once: `records` by id, `unreadable` those without a usable id."""

    records: dict[int, Record]
    unreadable: list[Record]
    total: int | None
    ids: list[int]
    duplicates: int = 0
    conflicts: int = 0


@dataclass
class Tally:
    """What a listing counted, in numbers: for the account's row in `account_syncs`."""

    strategy: Strategy = Strategy.WINDOWS
    reported_total: int = 0
    listed: int = 0
    unaccounted: int = 0
    duplicates: int = 0
    conflicts: int = 0


@dataclass(frozen=True)
class Proof:
    """The answer to «are these numbers gone?»: `gone` are proven, `alive` came back, `suspects` could not be told."""

    gone: list[int] = field(default_factory=list)
    alive: dict[int, Record] = field(default_factory=dict)
    suspects: list[int] = field(default_factory=list)


class Listing:
    """One account's listing through the eyes of `user_id` (None: a customer's own token).

    `known`: the open ids of the warehouse, ascending; they shape the windows and nothing else.
    """

    def __init__(self, api: DataApi, *, user_id: int | None, known: Sequence[int], limit: int = LIMIT) -> None:
        self._api, self._user_id, self._known, self._limit = api, user_id, known, limit
        self._witnesses: list[int] = []
        self.tally = Tally()
        self.announced = 0
        """How many numbers the account has, as far as an answer about all of it told."""

    def pages(self) -> Iterator[Page]:
        """Every page of the account. Each is whole at its own moment; together they hold every number that lived
        throughout, or the tally says how many did not come.

        Raises `SourceUnusable` when the answers cannot be true, and what `DataApi.call` raises.
        """
        try:
            yield from self._counted(self._by_windows())
        except FilterRefused:
            if self.tally.listed:
                raise
            self.tally = Tally(strategy=Strategy.OFFSETS)
            yield from self._counted(self._by_offsets())

    def _counted(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            self.tally.listed += len(page.records) + len(page.unreadable)
            self.tally.duplicates += page.duplicates
            self.tally.conflicts += page.conflicts
            self._remember_witnesses(page)
            yield page

    def _remember_witnesses(self, page: Page) -> None:
        ids = list(page.records)
        self._witnesses = [*self._witnesses, *ids[: WITNESSES * 3 : 3], *ids[-1:]][-WITNESSES * 2 :]

    # -- by id windows

    def _by_windows(self) -> Iterator[Page]:
        plan = WindowPlan.start(self._known, self._limit)
        while (window := plan.window) is not None:
            page = self._ask(_within(window), 0)
            verdict = plan.judge(Answer(page.ids, page.total, len(page.unreadable)))
            if isinstance(verdict, Refuse):
                raise SourceUnusable(f"the listing cannot be trusted: {verdict.reason}")
            if isinstance(verdict, Take):
                self.tally.reported_total += page.total or 0
                self.tally.unaccounted += verdict.unaccounted
                yield page
            else:
                assert isinstance(verdict, Again | Split)

    # -- by offsets

    def _by_offsets(self) -> Iterator[Page]:
        """All pages as one, for a number may come on two of them: the later page wins, being the newer.

        Passes are repeated while numbers are missing; what stays missing is `unaccounted`.
        """
        records: dict[int, Record] = {}
        unreadable: list[Record] = []
        total = 0
        for _ in range(3):
            total, unreadable = self._offset_pass(records)
            if len(records) + len(unreadable) >= total:
                break
        self.tally.reported_total = total
        self.tally.unaccounted = max(0, total - len(records) - len(unreadable))
        yield Page(records, unreadable, total, list(records))

    def _offset_pass(self, records: dict[int, Record]) -> tuple[int, list[Record]]:
        unreadable: list[Record] = []
        offset, total = 0, 1
        while offset < total:
            page = self._ask(None, offset)
            if page.total is None:
                raise SourceUnusable("the listing cannot be trusted: no usable total_items")
            if page.total > OFFSET_WALL:
                raise SourceUnusable(f"{page.total} numbers cannot be listed by offsets, and the id filter is refused")
            total = page.total
            records.update(page.records)
            unreadable += page.unreadable
            offset += self._limit
        return total, unreadable

    # -- proof of absence

    def prove(self, missing: Sequence[int], *, emptied: bool = False) -> Proof:
        """Ask for each id that was not listed, beside witnesses that were.

        `emptied`: an operator confirmed that the account may be empty, so nothing listed needs no witness.
        """
        try:
            proof = self._prove_by_id(missing, emptied)
        except FilterRefused:
            proof = self._prove_by_whole_answer(missing)
        self.tally.listed += len(proof.alive)
        self.tally.unaccounted = max(0, self.tally.unaccounted - len(proof.alive))
        return proof

    def _prove_by_id(self, missing: Sequence[int], emptied: bool) -> Proof:
        proof = Proof()
        room = self._limit - WITNESSES
        for start in range(0, len(missing), room):
            chunk = missing[start : start + room]
            self._prove_chunk(chunk, proof, emptied and not self.tally.listed)
        return proof

    def _prove_chunk(self, chunk: Sequence[int], proof: Proof, emptied: bool) -> None:
        asked = set(chunk)
        witnesses = [w for w in dict.fromkeys(reversed(self._witnesses)) if w not in asked][:WITNESSES]
        if not witnesses and not emptied:
            proof.suspects.extend(chunk)
            return
        page = self._ask({"field": "id", "operator": "in", "value": [*chunk, *witnesses]}, 0)
        came = {i: r for i, r in page.records.items() if i in asked}
        proof.alive.update(came)
        seen = bool(page.records.keys() & set(witnesses)) or emptied
        only_asked = page.records.keys() <= asked | set(witnesses)
        whole = page.total == len(page.records) and not page.unreadable and only_asked
        rest = proof.gone if seen and whole else proof.suspects
        rest.extend(i for i in chunk if i not in came)

    def _prove_by_whole_answer(self, missing: Sequence[int]) -> Proof:
        """Where ids cannot be filtered: one answer that holds the whole account at one moment, asked anew."""
        page = self._ask(None, 0)
        asked = set(missing)
        alive = {i: r for i, r in page.records.items() if i in asked}
        whole = page.total == len(page.records) and len(page.records) > 0 and not page.unreadable
        rest = [i for i in missing if i not in alive]
        return Proof(gone=rest, alive=alive) if whole else Proof(suspects=rest, alive=alive)

    # -- one request

    def _ask(self, where: dict[str, Any] | None, offset: int) -> Page:
        params: dict[str, Any] = {"limit": self._limit, "offset": offset}
        if self._user_id is not None:
            params["user_id"] = self._user_id
        if where is not None:
            params["filter"] = where
        result = self._api.call(METHOD, params)
        page = self._page(result.data, result.metadata)
        if where is None:
            self.announced = max(self.announced, page.total or 0)
        return page

    def _page(self, data: msgspec.Raw, metadata: object) -> Page:
        try:
            raws = _split.decode(data)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise SourceUnusable(f"{METHOD} answered what cannot be read: {exc}") from exc
        if len(raws) > self._limit:
            raise SourceUnusable(f"{METHOD} answered {len(raws)} rows where at most {self._limit} were asked for")
        total = metadata.get("total_items") if isinstance(metadata, dict) else None
        usable = isinstance(total, int) and not isinstance(total, bool) and total >= 0
        return _each_once(raws, _read_ids(data, raws), total if usable else None)


def _each_once(raws: list[msgspec.Raw], ids: list[int | None], total: int | None) -> Page:
    """The page with each number once: of two records of one number, the one whose bytes sort first, in any order."""
    records: dict[int, Record] = {}
    unreadable: list[Record] = []
    duplicates = conflicts = 0
    for number_id, raw in zip(ids, raws, strict=True):
        if number_id is None:
            unreadable.append(raw)
        elif (other := records.setdefault(number_id, raw)) is not raw:
            same = bytes(other) == bytes(raw)
            duplicates, conflicts = duplicates + same, conflicts + (not same)
            records[number_id] = min(other, raw, key=bytes)
    return Page(records, unreadable, total, [i for i in ids if i is not None], duplicates, conflicts)


def _within(window: Window) -> dict[str, Any] | None:
    """The API's filter for a window; None for the whole account."""
    edges = [("after", ">", window.after), ("upto", "<=", window.upto)]
    filters = [{"field": "id", "operator": op, "value": value} for _, op, value in edges if value is not None]
    if len(filters) < 2:
        return filters[0] if filters else None
    return {"filters": filters, "condition": "and"}


_LARGEST = 2**63


def _read_ids(data: msgspec.Raw, raws: list[msgspec.Raw]) -> list[int | None]:
    """Each record's id; None where there is none that a 64-bit column can hold."""
    try:
        ids: list[int | None] = [r.id for r in _ids.decode(data)]
    except (msgspec.DecodeError, RecursionError):
        ids = [_read_id(raw) for raw in raws]
    return [i if i is not None and -_LARGEST <= i < _LARGEST else None for i in ids]


def _read_id(raw: msgspec.Raw) -> int | None:
    try:
        return _id.decode(raw).id
    except (msgspec.DecodeError, RecursionError):
        return None
