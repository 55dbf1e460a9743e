"""Oracle: judges whether the result of an account sync can be true, given the world and the answers received.

For an account sync that received its first answer at tick s and its last at tick e: a number that existed throughout
[s, e] is open, with a value that was sent; a number that did not exist in [s, e] is closed, or a reported suspect; for
the others both are right. `closing` judges the closed numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.case import Case
from tests.simulation.closing import closes
from tests.simulation.keys import Viewer
from tests.simulation.records import NOTHING, Held, State, shared_of, wanted
from tests.simulation.response_log import AccountLog, Heard, Sent


@dataclass
class Oracle:
    """Judges account syncs, one after the other.

    It keeps which of two contradicting records won, and which numbers of an account each viewer has seen.
    """

    winners: dict[frozenset[State], Held] = field(default_factory=dict)
    shown: dict[tuple[int, Viewer], set[int]] = field(default_factory=dict)

    def judge(self, case: Case) -> Iterator[str]:
        """The violations: results that cannot be true."""
        if not case.log.heard:
            yield "published without one answer about the account"
            return
        yield from _numbers(case)
        yield from _presence(case)
        shown = self.shown.setdefault((case.sync.account_id, case.viewer), set())
        yield from closes(case, shown)
        shown.update(n for heard in case.log.heard for n in heard.ids)
        yield from _viewer(case)
        yield from _shared(case)
        yield from _counts(case)
        yield from self._winners(case)

    def _winners(self, case: Case) -> Iterator[str]:
        """Of two records of one number in one answer, the same one wins, in either order."""
        if len(case.log.heard) != 1:
            return
        for number_id, states in _contradictions(case.log.heard[0]).items():
            held = case.after.numbers.get(number_id)
            if held is not None and self.winners.setdefault(states, held) != held:
                yield f"number {number_id}: of two contradicting records now the other one won"


def _contradictions(heard: Heard) -> dict[int, frozenset[State]]:
    states: dict[int, set[State]] = {}
    for sent in heard.sent:
        if sent.id is not None and sent.sound:
            states.setdefault(sent.id, set()).add(sent.state)
    return {n: frozenset(s) for n, s in states.items() if len(s) > 1}


def _states(records: Iterable[Sent]) -> dict[int, list[State]]:
    """The states of each number in the sound records that were sent."""
    out: dict[int, list[State]] = {}
    for sent in records:
        if sent.sound and sent.id is not None:
            out.setdefault(sent.id, []).append(sent.state)
    return out


def _sent(log: AccountLog) -> Iterator[Sent]:
    return (sent for heard in log.heard for sent in heard.sent)


def _unsound(log: AccountLog) -> set[int]:
    return {s.id for h in log.heard for s in h.sent if s.id is not None and not s.sound}


# -- each open number has a value that was sent


def _numbers(case: Case) -> Iterator[str]:
    sent, used = _states(_sent(case.log)), _states(case.log.used())
    unsound = _unsound(case.log)
    silent = 0
    for number_id, after in case.after.numbers.items():
        before = case.before.numbers.get(number_id, NOTHING)
        legal = [wanted(state, before) for state in sent.get(number_id, ())]
        if after in legal:
            continue
        if after != before:
            yield f"number {number_id} holds what was never sent: {after}, of {legal[:2]}"
        elif number_id in used and number_id not in unsound:
            yield f"number {number_id} was sent as {legal[-1]} and stayed {after}"
        elif number_id not in unsound:
            silent += 1
    if silent > case.sync.suspects:
        yield f"{silent} numbers were not heard of and stay open, {case.sync.suspects} are reported as suspects"


# -- numbers that must be open


def _presence(case: Case) -> Iterator[str]:
    start, end = case.log.window
    lost = [
        n
        for n in case.customer.lives
        if n not in case.after.numbers
        and n not in case.before.numbers
        and case.customer.alive_throughout(n, start, end)
        and n in _visible(case)
    ]
    excused = _hidden_consistently(case.log) | _unsound(case.log) | _nameless(case)
    lost = [n for n in lost if n not in excused]
    shifting = case.sync.strategy == "offsets" and case.customer.last_change > start
    if shifting:
        return  # with offsets, rows that shift between pages may be missed until the next run: no proof is possible
    if len(lost) > case.sync.unaccounted + _nameless_copies(case):
        yield f"numbers {lost[:5]} lived throughout and are not open; {case.sync.unaccounted} are reported missing"


def _visible(case: Case) -> set[int]:
    return case.customer.lives.keys() - case.customer.unseen_by(case.viewer)


def _hidden_consistently(log: AccountLog) -> set[int]:
    """Numbers that some answer held back without contradicting itself, or without reporting a count."""
    excuses = {"filter_ignored", "total_small"}
    return {n for h in log.heard if h.hides_well or excuses & set(h.response_faults) for n in h.hidden}


def _nameless(case: Case) -> set[int]:
    """Numbers whose record came without a readable id: such a record can only be quarantined."""
    return {s.was for s in _sent(case.log) if s.was is not None}


def _nameless_copies(case: Case) -> int:
    """Records without a readable id that repeat a number of the same answer: they cannot be matched to it."""
    return sum(s.was in heard.ids for heard in case.log.heard for s in heard.sent if s.was is not None)


# -- shared rows


def _shared(case: Case) -> Iterator[str]:
    sent = shared_of(s for states in _states(_sent(case.log)).values() for s in states)
    used = shared_of(s for states in _states(case.log.used()).values() for s in states)
    doubtful = _doubtful(case.log)
    for key, row in case.after.shared.items():
        before = case.before.shared.get(key)
        if row in sent.get(key, ()):
            continue
        if row != before:
            yield f"{key} holds what was never sent: {row}"
        elif key in used and key not in doubtful:
            yield f"{key} was sent as {sorted(map(str, used[key]))} and stayed {row}"


def _doubtful(log: AccountLog) -> set[tuple[str, int]]:
    """Shared rows that are named only by records that may have lost against another record of the same number."""
    unsound = _unsound(log)
    contradicted = {n for heard in log.heard for n in _contradictions(heard)}
    firm: set[tuple[str, int]] = set()
    soft: set[tuple[str, int]] = set()
    for sent in log.used():
        if sent.sound and sent.id is not None:
            target = soft if sent.id in contradicted or sent.id in unsound else firm
            target.update((table, key) for table, key, _ in sent.state.shared)
    return soft - firm


# -- the account's row


def _counts(case: Case) -> Iterator[str]:
    if len(case.log.heard) == 1:
        heard = case.log.heard[0]
        ids: list[int | None] = [s.id for s in heard.sent]
        repeated = len(ids) - len(set(ids)) if None not in ids else 0
        if repeated > case.sync.duplicates + case.sync.conflicts:
            yield f"{repeated} records came twice and {case.sync.duplicates + case.sync.conflicts} are counted"
    used = list(case.log.used())
    unsound = {s.id for s in used if not s.sound and s.id is not None} - {s.id for s in used if s.sound}
    if unsound and not case.sync.quarantined:
        yield f"unusable records of {sorted(unsound)[:3]} left no trace in the quarantine"
    partly = {s.id for s in used if s.sound and s.unread} - {s.id for s in used if s.sound and not s.unread}
    if partly and not case.sync.quarantined:
        yield f"unusable elements of {sorted(map(str, partly))[:3]} left no trace in the quarantine"
    start, _ = case.log.window
    still = case.customer.last_change <= start and case.same_viewer
    if still and case.undisturbed and case.sync.suspects and not case.log.filter_refused:
        yield f"{case.sync.suspects} suspects, though nothing changed and nobody lied"


def _viewer(case: Case) -> Iterator[str]:
    """The viewer on record is the one that listed."""
    user, credential = case.sync.listed_by_user_id, case.sync.listed_by_credential
    if user != case.viewer.user or not case.viewer.key.is_named(credential):
        yield f"listed by {case.viewer}, and on record as user {user}, {credential}"


__all__ = ["Case", "Oracle"]
