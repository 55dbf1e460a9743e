"""Proof of absence: a number that was not listed is asked for by its id before it may be called gone.

Control ids, which were just listed, stand around the ids in question. An answer proves something only when every
control id came back, when it agrees with its own `total_items`, and when it is shorter than the longest answer of the
listing: a source that cuts its answers to some number of rows would cut this one as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from etl.domain.figures import counted
from etl.errors import SOURCE_FAILURES, FilterRefused, TimedOut, TooMuchAsked, VnsyncError
from etl.extract.page import Page, Record

CONTROLS = 2
"""Control ids in one question: one at each end."""
OTHER_CONTROLS = 2
"""How often a question is put again with other control ids, for a number may go while the listing is read."""
MOST_CUTS = 64
"""How many answers that may have been cut are asked for again in halves; after that the rest stays suspect."""

Ask = Callable[[dict[str, Any] | None, int], Page]
"""One request for the rows that match a filter (None: all), from an offset on."""


@dataclass(frozen=True)
class Proof:
    """The answer to «are these numbers gone?»: `gone` are proven, `alive` came back, `suspects` could not be told."""

    gone: list[int] = field(default_factory=list)
    alive: dict[int, Record] = field(default_factory=dict)
    suspects: list[int] = field(default_factory=list)

    def knowing(self, answered: Mapping[int, Record]) -> Proof:
        """The proof, with those of its suspects alive that had answered before."""
        alive = {i: answered[i] for i in self.suspects if i in answered}
        return Proof(self.gone, self.alive | alive, [i for i in self.suspects if i not in alive])

    def doubting(self, doubtful: set[int]) -> Proof:
        """The proof, with some of the numbers that it calls gone as suspects."""
        gone = [i for i in self.gone if i not in doubtful]
        return Proof(gone, self.alive, sorted([*self.suspects, *(i for i in self.gone if i in doubtful)]))


@dataclass
class Trace:
    """Facts about the answers of one listing that a proof relies on.

    `candidates`: ids that were listed, as control ids; `longest`: rows of the longest answer that was taken;
    `gave_rows`: whether any answer, also one that was refused, had a row.
    """

    candidates: list[int] = field(default_factory=list)
    longest: int = 0
    gave_rows: bool = False

    def take(self, page: Page) -> None:
        """Note a page of the listing."""
        self.candidates.extend(page.control_ids)
        self.longest = max(self.longest, page.rows)

    def controls(self, part: Sequence[int]) -> tuple[list[int], list[int]]:
        """Control ids to stand before and after the ascending ids in question; where there are any, beyond them.

        They are fewer than the longest answer has rows, so that an answer of nothing else is shorter than that.
        """
        usable = sorted(set(self.candidates) - set(part))
        below = [i for i in usable if i < part[0]]
        above = [i for i in usable if i > part[-1]]
        last = (above or usable[-1:])[:1]
        if self.longest - 1 < CONTROLS:
            return [], last
        return [i for i in (below or usable)[-1:] if i not in last], last

    def forget(self, number_ids: set[int]) -> None:
        """These ids did not come back: they are no control ids any more."""
        self.candidates = [i for i in self.candidates if i not in number_ids]


@dataclass
class ListLength:
    """The most ids that the source takes in one filter, as far as a run knows; all accounts of the run share it."""

    most: int | None = None

    def refused(self, length: int) -> None:
        """A list of so many ids was refused, or not answered in time."""
        self.most = max(1, length // 2)

    def within(self, limit: int) -> int:
        """How many ids to ask for at once, where an answer holds at most `limit` rows."""
        room = max(1, limit - CONTROLS)
        return room if self.most is None else min(room, self.most)


class AbsenceProof:
    """The questions about the numbers of one account that were not listed.

    `notice`: takes a sentence for the operator when the source does not answer.
    """

    def __init__(
        self, ask: Ask, trace: Trace, *, limit: int, length: ListLength, notice: Callable[[str], None]
    ) -> None:
        self._ask, self._trace, self._limit, self._length, self._notice = ask, trace, limit, length, notice
        self._others_left, self._cuts_left = OTHER_CONTROLS, MOST_CUTS

    def prove(self, missing: Sequence[int], *, emptied: bool) -> Proof:
        """The fate of each of these ids, ascending. A source that does not answer leaves them suspects.

        `emptied`: an operator confirmed that the account may be empty, so that no control id is needed where no
        answer had a row.
        """
        proof = Proof()
        try:
            self._by_id(missing, emptied, proof)
        except FilterRefused:
            answered, proof = proof.alive, Proof()
            try:
                proof = self._by_whole_answer(missing, emptied=emptied and not self._trace.gave_rows)
            except SOURCE_FAILURES as exc:
                self._leave_open(missing, proof, exc)
            proof = proof.knowing(answered)
        return proof

    def _leave_open(self, rest: Sequence[int], proof: Proof, exc: VnsyncError) -> None:
        """No proof, no close: a question that fails leaves its numbers open; the listing is still whole."""
        proof.suspects.extend(rest)
        those, stay = ("is", "it stays") if len(rest) == 1 else ("are", "they stay")
        gone = f"{counted(len(rest), 'number')} {those} gone"
        self._notice(f"could not find out whether {gone}, so {stay} open: {exc}")

    # -- by id

    def _by_id(self, missing: Sequence[int], emptied: bool, proof: Proof) -> None:
        waiting = deque(self._parts(missing))
        while waiting:
            part = waiting.popleft()
            try:
                waiting.extendleft(reversed(self._question(part, proof, emptied)))
            except FilterRefused:
                raise
            except (TooMuchAsked, TimedOut) as exc:
                rest = [*part, *chain.from_iterable(waiting)]
                waiting.clear()
                if len(part) == 1:
                    self._leave_open(rest, proof, exc)
                else:
                    self._length.refused(len(part))
                    waiting.extend(self._parts(rest))
            except SOURCE_FAILURES as exc:
                self._leave_open([*part, *chain.from_iterable(waiting)], proof, exc)
                return

    def _parts(self, ids: Sequence[int]) -> list[Sequence[int]]:
        size = self._length.within(self._limit)
        return [ids[start : start + size] for start in range(0, len(ids), size)]

    def _question(self, part: Sequence[int], proof: Proof, emptied: bool) -> list[Sequence[int]]:
        """Ask for some ids; what the answer leaves open, in parts that are to be asked for again."""
        before, after = self._trace.controls(part)
        controls = {*before, *after}
        emptied = emptied and not self._trace.gave_rows
        if not controls and not emptied:
            return _kept(part, proof)
        page = self._ask(_among([*before, *part, *after]), 0)
        rest = self._living(page, part, proof)
        missed = controls - page.records.keys()
        if not rest:
            return []
        if page.rows >= self._trace.longest and (page.rows or not emptied):
            lone = self._trace.longest == 1 and not missed
            return self._alone(rest, page, controls, proof) if lone else self._parts_of_cut(rest, page.rows, proof)
        if missed:
            return self._with_other_controls(rest, missed, proof)
        (proof.gone if _agrees(page, {*part, *controls}) else proof.suspects).extend(rest)
        return []

    def _living(self, page: Page, part: Sequence[int], proof: Proof) -> list[int]:
        """Take those that came as alive; the others."""
        asked = set(part)
        came = {i: r for i, r in page.records.items() if i in asked}
        proof.alive.update(came)
        self._trace.candidates.extend(list(came)[:CONTROLS])
        return [i for i in part if i not in came]

    def _parts_of_cut(self, rest: list[int], rows: int, proof: Proof) -> list[Sequence[int]]:
        """An answer as long as the longest may have been cut: the rest is asked for in halves, for shorter answers."""
        self._trace.longest = max(self._trace.longest, rows)
        self._cuts_left -= 1
        if len(rest) == 1 or self._cuts_left < 0:
            return _kept(rest, proof)
        middle = len(rest) // 2
        return [rest[:middle], rest[middle:]]

    def _with_other_controls(self, rest: list[int], missed: set[int], proof: Proof) -> list[Sequence[int]]:
        """A control id that does not come back proves nothing: its number may have gone since it was listed."""
        self._trace.forget(missed)
        self._others_left -= 1
        return [rest] if self._others_left >= 0 else _kept(rest, proof)

    def _alone(self, rest: list[int], beside: Page, controls: set[int], proof: Proof) -> list[Sequence[int]]:
        """Where only one number was listed, an answer with its id in it is never shorter than the listing's.

        So the others are asked for once more without it: an answer without a row cannot have been cut.
        """
        page = self._ask(_among(rest), 0)
        still = self._living(page, rest, proof)
        if page.rows:
            return self._parts_of_cut(still, page.rows, proof) if still else []
        proven = _agrees(page, set(rest)) and _agrees(beside, {*rest, *proof.alive, *controls})
        (proof.gone if proven else proof.suspects).extend(still)
        return []

    # -- where ids cannot be filtered

    def _by_whole_answer(self, missing: Sequence[int], *, emptied: bool) -> Proof:
        """One answer that holds the whole account at one moment, and another that shows that nothing is behind it."""
        page = self._ask(None, 0)
        asked = set(missing)
        alive = {i: r for i, r in page.records.items() if i in asked}
        rest = [i for i in missing if i not in alive]
        whole = page.total == len(page.records) and page.rows < self._limit and not page.unreadable
        if whole and page.rows:
            whole = not self._ask(None, page.rows).rows
        elif whole:
            whole = emptied
        return Proof(gone=rest, alive=alive) if whole else Proof(suspects=rest, alive=alive)


def _among(ids: list[int]) -> dict[str, Any]:
    """The API's filter for numbers with these ids."""
    return {"field": "id", "operator": "in", "value": ids}


def _agrees(page: Page, asked: set[int]) -> bool:
    """Whether an answer agrees with itself: as many records as it announces, each readable and asked for."""
    return page.total == len(page.records) and not page.unreadable and page.records.keys() <= asked


def _kept(ids: Sequence[int], proof: Proof) -> list[Sequence[int]]:
    """These stay open as suspects, and are not asked for again."""
    proof.suspects.extend(ids)
    return []
