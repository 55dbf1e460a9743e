"""Proof of absence: a number that was not listed is asked for by its id before it may be called gone.

Control ids, which were just listed, surround the ids in question. An answer proves something only if every control id
came back, if it agrees with its own `total_items`, and if it is shorter than the longest answer of the listing: a
source that cuts its answers at some number of rows would cut this one as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct, field

from etl.domain.figures import counted
from etl.errors import SOURCE_FAILURES, FilterRefused, TimedOut, TooMuchAsked, VnsyncError
from etl.extract.page import Page, Record

CONTROLS = 2
"""Control ids in one question: one at each end."""
OTHER_CONTROLS = 2
"""How often a question is repeated with other control ids, because a number may be removed during the listing."""
MOST_CUTS = 64
"""How many answers that may have been cut are requested again in halves; after that the rest stays suspect."""

Ask = Callable[[dict[str, Any] | None, int], Page]
"""One request for the rows that match a filter (None: all), starting at an offset."""


class Proof(Struct, frozen=True):
    """Result about missing numbers: `gone` are proved gone, `alive` came back, `suspects` could not be decided."""

    gone: list[int] = field(default_factory=list)
    alive: dict[int, Record] = field(default_factory=dict)
    suspects: list[int] = field(default_factory=list)

    def with_answered(self, answered: Mapping[int, Record]) -> Proof:
        """The proof, with those suspects alive whose records came in an earlier answer."""
        alive = {i: answered[i] for i in self.suspects if i in answered}
        return Proof(self.gone, self.alive | alive, [i for i in self.suspects if i not in alive])

    def doubting(self, doubtful: set[int]) -> Proof:
        """The proof, with some of its gone numbers moved to the suspects."""
        gone = [i for i in self.gone if i not in doubtful]
        return Proof(gone, self.alive, sorted([*self.suspects, *(i for i in self.gone if i in doubtful)]))


class Trace(Struct):
    """Facts about the answers of one listing that a proof relies on.

    `candidates`: listed ids that may serve as control ids; `longest`: rows of the longest answer that was used;
    `gave_rows`: whether any answer, even a refused one, had a row.
    """

    candidates: list[int] = field(default_factory=list)
    longest: int = 0
    gave_rows: bool = False

    def take(self, page: Page) -> None:
        """Note a page of the listing."""
        self.candidates.extend(page.control_ids)
        self.longest = max(self.longest, page.rows)

    def controls(self, part: Sequence[int]) -> tuple[list[int], list[int]]:
        """Control ids to put before and after the ascending ids in question, outside their range if there are any.

        They are fewer than the rows of the longest answer, so an answer with control ids alone is shorter than that.
        """
        usable = sorted(set(self.candidates) - set(part))
        below = [i for i in usable if i < part[0]]
        above = [i for i in usable if i > part[-1]]
        last = (above or usable[-1:])[:1]
        if self.longest - 1 < CONTROLS:
            return [], last
        return [i for i in (below or usable)[-1:] if i not in last], last

    def forget(self, number_ids: set[int]) -> None:
        """Use these ids as control ids no longer, because they did not come back."""
        self.candidates = [i for i in self.candidates if i not in number_ids]


class ListLength(Struct):
    """The most ids that the source accepts in one filter, as far as a run knows; all accounts of the run share it."""

    most: int | None = None

    def refused(self, length: int) -> None:
        """Note that a list of so many ids was refused, or not answered in time."""
        self.most = max(1, length // 2)

    def within(self, limit: int) -> int:
        """How many ids to ask for at once, if an answer holds at most `limit` rows."""
        room = max(1, limit - CONTROLS)
        return room if self.most is None else min(room, self.most)


class AbsenceProof:
    """Questions about the numbers of one account that were not listed.

    `notice`: receives a sentence for the operator when the source does not answer.
    """

    def __init__(
        self, ask: Ask, trace: Trace, *, limit: int, length: ListLength, notice: Callable[[str], None]
    ) -> None:
        self._ask, self._trace, self._limit, self._length, self._notice = ask, trace, limit, length, notice
        self._others_left, self._cuts_left = OTHER_CONTROLS, MOST_CUTS

    def prove(self, missing: Sequence[int], *, emptied: bool) -> Proof:
        """Proof about these ids, ascending. If the source does not answer, they stay suspects.

        `emptied`: an operator confirmed that the account may be empty, so no control id is needed if no answer had a
        row.
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
            proof = proof.with_answered(answered)
        return proof

    def _leave_open(self, rest: Sequence[int], proof: Proof, exc: VnsyncError) -> None:
        """Leave numbers open, because nothing is closed without a proof; the listing is still complete."""
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
        """Ask for some ids. Returns the ids that the answer did not decide, in parts to ask for again."""
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
        """Note the ids that came back as alive. Returns the others."""
        asked = set(part)
        came = {i: r for i, r in page.records.items() if i in asked}
        proof.alive.update(came)
        self._trace.candidates.extend(list(came)[:CONTROLS])
        return [i for i in part if i not in came]

    def _parts_of_cut(self, rest: list[int], rows: int, proof: Proof) -> list[Sequence[int]]:
        """Ask in halves, which have shorter answers: an answer as long as the longest may have been cut."""
        self._trace.longest = max(self._trace.longest, rows)
        self._cuts_left -= 1
        if len(rest) == 1 or self._cuts_left < 0:
            return _kept(rest, proof)
        middle = len(rest) // 2
        return [rest[:middle], rest[middle:]]

    def _with_other_controls(self, rest: list[int], missed: set[int], proof: Proof) -> list[Sequence[int]]:
        """Ask with other control ids. One that does not come back proves nothing: its number may be gone by now."""
        self._trace.forget(missed)
        self._others_left -= 1
        return [rest] if self._others_left >= 0 else _kept(rest, proof)

    def _alone(self, rest: list[int], first: Page, controls: set[int], proof: Proof) -> list[Sequence[int]]:
        """Ask without the control id: if only one number was listed, no answer with it is shorter than the listing's.

        An answer without a row cannot have been cut.
        """
        page = self._ask(_among(rest), 0)
        still = self._living(page, rest, proof)
        if page.rows:
            return self._parts_of_cut(still, page.rows, proof) if still else []
        proven = _agrees(page, set(rest)) and _agrees(first, {*rest, *proof.alive, *controls})
        (proof.gone if proven else proof.suspects).extend(still)
        return []

    # -- if ids cannot be filtered

    def _by_whole_answer(self, missing: Sequence[int], *, emptied: bool) -> Proof:
        """Proof by one answer with the whole account at one moment, and another that shows that nothing follows it."""
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
    """Whether an answer is consistent: as many records as it announces, each of them readable and asked for."""
    return page.total == len(page.records) and not page.unreadable and page.records.keys() <= asked


def _kept(ids: Sequence[int], proof: Proof) -> list[Sequence[int]]:
    """Leave these ids open as suspects; they are not asked for again."""
    proof.suspects.extend(ids)
    return []
