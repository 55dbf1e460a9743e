"""Judgement of closings: each closed number was proven gone, and no mass was closed without approval.

An existing number may be closed for two reasons only. A viewer that saw it before lost the right to it: this looks the
same as a number that is gone. Or the source held it back in an answer without contradictions; an answer that was cut
contradicts itself, because it is as long as the longest answer of the listing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from tests.simulation.case import Case
from tests.simulation.records import Held
from tests.simulation.response_log import AccountLog, Heard

NEVER_BELOW = 20
"""The contract's guard: this many numbers, or links of one kind, may always close at once."""
EXCHANGED, FEWEST_EXCHANGED = 0.8, 10
"""The contract's other guard: an account with so many numbers is held when this share of them is exchanged."""
WHOLE = "[null, 0]"
"""The request for the whole account."""
LINKS: dict[str, Callable[[Held], Collection[object]]] = {
    "campaign links": lambda held: held.campaigns,
    "block links": lambda held: {row[:2] for row in held.blocks},
    "scenario links": lambda held: {scenario for scenario, *_ in held.scenarios},  # under any rule
}


def closes(case: Case, shown: Collection[int]) -> Iterator[str]:
    """Breaches of the rules by closings. `shown`: numbers that earlier syncs showed to this viewer."""
    for number_id in sorted(case.gone):
        if not _proven(case, number_id):
            yield f"number {number_id} was closed without proof"
        elif not case.approved:
            yield from _alive(case, number_id, shown)
    if not case.approved:
        yield from _mass(case)
        yield from _owed(case)
        yield from _links(case)


def _proven(case: Case, number_id: int) -> bool:
    seen: set[int] = set()
    offsets = case.sync.strategy == "offsets" or case.log.filter_refused
    for index, heard in enumerate(case.log.heard):
        absent = number_id not in heard.ids and heard.consistent
        if heard.asked is not None and number_id in heard.asked:
            witnessed = bool(heard.ids & seen) or (case.approved and not seen)
            if absent and witnessed and heard.ids <= heard.asked:
                return True
        elif absent and heard.whole and offsets and not any(h.sent for h in case.log.heard[index + 1 :]):
            return bool(heard.ids) or (case.approved and not seen)
        seen |= heard.ids
    return False


def _alive(case: Case, number_id: int, shown: Collection[int]) -> Iterator[str]:
    start, end = case.log.window
    if not case.customer.alive_throughout(number_id, start, end):
        return
    if number_id in case.customer.unseen_by(case.viewer):
        if number_id not in shown:
            yield f"number {number_id} was closed, and lives where {case.viewer} never saw it"
    elif not _held_back(case.log, number_id):
        yield f"number {number_id} was closed and lived from {start} to {end}"


def _held_back(log: AccountLog, number_id: int) -> bool:
    """Whether an answer without contradictions held the number back."""
    longest = max((len(h.sent) for h in log.heard if h.asked is None), default=0)
    return any(number_id in h.hidden and h.consistent and _uncut(h, longest) for h in log.heard)


def _uncut(heard: Heard, longest: int) -> bool:
    return "cut" not in heard.response_faults and (heard.asked is None or len(heard.sent) < longest)


def _mass(case: Case) -> Iterator[str]:
    before, gone = len(case.before.numbers), len(case.gone)
    if gone and (gone > _allowed(before, case.share) or not any(h.sent for h in case.log.heard)):
        yield f"{gone} of {before} numbers were closed at once and nobody approved"
    if before >= FEWEST_EXCHANGED and case.new and gone >= before * EXCHANGED:
        yield f"{gone} of {before} numbers gave way to {len(case.new)} others and nobody approved"


def _allowed(before: int, share: float) -> int:
    return max(NEVER_BELOW, int(before * share))


def _owed(case: Case) -> Iterator[str]:
    """A listing of one window leaves as many suspects as it owes numbers: those that did not come, or without an id."""
    listed = [h for h in case.log.heard if h.asked is None]
    if not case.gone or not listed or {h.query for h in listed} != {WHOLE}:
        return
    owed = case.sync.unaccounted + (0 if case.sync.strategy == "offsets" else listed[-1].nameless)
    if case.sync.suspects < owed:
        yield f"{len(case.gone)} numbers were closed, {owed} are owed, {case.sync.suspects} suspects"


def _links(case: Case) -> Iterator[str]:
    staying = case.before.numbers.keys() & case.after.numbers.keys()
    for kind, links_of in LINKS.items():
        before = [(n, link) for n in staying for link in links_of(case.before.numbers[n])]
        removed = [1 for n, link in before if link not in links_of(case.after.numbers[n])]
        if len(removed) > _allowed(len(before), case.share):
            yield f"{len(removed)} of {len(before)} {kind} were closed at once and nobody approved"
