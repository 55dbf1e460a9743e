"""Response log: the answers that one process received completely, by account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.keys import Viewer
from tests.simulation.records import State, state_of

COUNTING = 1
"""The limit of a request that only counts a user's numbers; listings in the simulation have larger pages."""


@dataclass
class Sent:
    """One record as sent: its id (None: not readable; `was`: the true id), and whether it is sound.

    A sound record may have unusable elements: `unread` names their arrays, `readable` is the record without them.
    """

    id: int | None
    record: dict[str, Any]
    sound: bool = True
    was: int | None = None
    readable: dict[str, Any] | None = None
    unread: frozenset[str] = frozenset()
    _state: State | None = None

    @property
    def state(self) -> State:
        """The state in the sound record."""
        if self._state is None:
            self._state = state_of(self.readable or self.record, self.unread)
        return self._state


@dataclass
class Heard:
    """One answer to `get.virtual_numbers`.

    `asked`: the ids in the request; `hidden`: the numbers that the answer wrongly left out.
    """

    tick: int
    query: str
    asked: frozenset[int] | None
    whole: bool
    sent: list[Sent]
    total: Any
    response_faults: list[str]
    hidden: frozenset[int]
    limit: int

    @property
    def ids(self) -> set[int]:
        """The ids of the answer."""
        return {s.id for s in self.sent if s.id is not None}

    @property
    def consistent(self) -> bool:
        """Whether the answer claims to be complete and does not contradict itself."""
        return type(self.total) is int and self.total == len(self.ids) and not self.nameless

    @property
    def nameless(self) -> int:
        """The count of records without a readable id."""
        return sum(s.id is None for s in self.sent)

    @property
    def offset(self) -> int:
        """The offset of the request, in rows."""
        return int(json.loads(self.query)[1])

    @property
    def announces_more(self) -> bool:
        """Whether the answer reports more rows than one answer can have."""
        return type(self.total) is int and self.total > self.limit

    @property
    def hides_well(self) -> bool:
        """Whether the answer held numbers back and reported no larger total."""
        return bool(self.hidden) and type(self.total) is int and self.total <= len(self.ids) + self.nameless


@dataclass
class AccountLog:
    """The answers about one account that one process received.

    `viewer`: the viewer of the listing; `heard`: the answers to that viewer, without those that only count.
    """

    viewer: Viewer | None = None
    heard: list[Heard] = field(default_factory=list)
    filter_refused: bool = False

    def take(self, viewer: Viewer | None, heard: Heard) -> None:
        """Add an answer of the listing. Another viewer starts a new log, because the previous one was refused."""
        if heard.limit == COUNTING:
            return
        if viewer != self.viewer:
            self.viewer = viewer
            self.heard.clear()
        self.heard.append(heard)

    @property
    def window(self) -> tuple[int, int]:
        """The ticks of the first and the last answer."""
        return self.heard[0].tick, self.heard[-1].tick

    @property
    def honest(self) -> bool:
        """Whether no answer had a fault."""
        return not any(h.response_faults for h in self.heard)

    def kept(self) -> Iterator[Heard]:
        """The answers that were certainly used: of successive answers to one request, the last."""
        for index, heard in enumerate(self.heard):
            if index + 1 == len(self.heard) or self.heard[index + 1].query != heard.query:
                yield heard

    def used(self) -> Iterator[Sent]:
        """The records that were certainly used; of a proof, only those that were asked for because they were missing.

        A full answer, or one that reports more rows than fit, may be incomplete: with windows it is requested again in
        parts. Where ids cannot be filtered, the last answers may have been a proof: none of them is certain.
        """
        seen: set[int] = set()
        kept = list(self.kept())
        proof = self._whole_proof(kept) if self.filter_refused and len(self.heard) > 1 else []
        for heard in kept:
            whole = len(heard.sent) < heard.limit and not heard.announces_more
            sure = whole and not any(heard is one for one in proof)
            for sent in heard.sent:
                new = heard.asked is None or (sent.id in heard.asked and sent.id not in seen)
                if sure and new:
                    yield sent
            seen |= heard.ids

    @staticmethod
    def _whole_proof(kept: list[Heard]) -> list[Heard]:
        """The last answer, and the one before if the last one continued it."""
        *_, last = kept
        before = kept[-2] if len(kept) > 1 else last
        behind = before.whole and 0 < len(before.sent) < before.limit and last.offset == len(before.sent)
        return [before, last] if behind else [last]


@dataclass
class ResponseLog:
    """Answers that a process received. `faults`: those of its requests; `spent`: the day's points were used up."""

    accounts: dict[int, AccountLog] = field(default_factory=dict)
    roster: set[int] | None = None
    requests: int = 0
    faults: set[str] = field(default_factory=set)
    spent: bool = False
    beyond_spent: int = 0

    def account(self, account_id: int) -> AccountLog:
        """The log of one account."""
        return self.accounts.setdefault(account_id, AccountLog())
