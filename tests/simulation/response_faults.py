"""Faults of answers: rows are held back, repeated, invented or spoilt, totals are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.response_log import Sent

SPOILT: tuple[dict[str, Any], ...] = (
    {"activation_date": "0000-00-00 00:00:00"},
    {"activation_date": "2026-02-30 10:00:00"},
    {"status": 5},
    {"campaigns": {}},
    {"scenarios": None},
    {"virtual_phone_number": ["+7"]},
)
SPOILT_ELEMENTS: dict[str, tuple[Any, ...]] = {
    "campaigns": (
        {"campaign_id": "7", "site_blocks": []},
        {"campaign_id": None, "campaign_name": "x", "site_blocks": []},
        {"campaign_id": 1},
        {"campaign_id": 1, "site_blocks": None},
        None,
    ),
    "site_blocks": ({"site_block_id": None}, {"site_block_name": "x"}, {"site_block_id": 1, "is_tracking": 5}, []),
    "scenarios": (
        {"scenario_id": None, "scenario_name": None, "call_processing_rule_id": 7, "is_active": True},
        {"scenario_name": "x"},
        {"scenario_id": 2**63, "scenario_name": None},
        5,
    ),
}
"""Unusable elements, by the array in which they stand."""
BAD_IDS = ("12", None, 1.5, True, 2**63)
ODD_TOTALS: tuple[Any, ...] = ("5", None, -1, 1.5, True, [])


@dataclass
class Draft:
    """Draft of an answer: the rows, the announced total, and the faults in it."""

    sent: list[Sent]
    total: Any
    response_faults: list[str] = field(default_factory=list)


def cut_to(rows: int, draft: Draft) -> None:
    """Cut an answer to `rows` rows; its total counts only these rows."""
    if len(draft.sent) > rows:
        draft.sent, draft.total = draft.sent[:rows], rows
        draft.response_faults.append("cut")


@dataclass(frozen=True)
class Liar:
    """Applies faults to drafts. `limit`: the page limit of the request; `others`: another customer's record, if any."""

    rng: random.Random
    limit: int
    others: Callable[[], dict[str, Any] | None]

    def tell(self, name: str, draft: Draft) -> None:
        """Apply the fault of this name, if it is possible in the draft."""
        if getattr(self, f"_{name}")(draft) is not False:
            draft.response_faults.append(name)

    def _some(self, draft: Draft) -> list[Sent]:
        return self.rng.sample(draft.sent, self.rng.randrange(1, min(3, len(draft.sent)) + 1))

    def _short(self, draft: Draft) -> bool | None:
        if not draft.sent:
            return False
        gone = self._some(draft)
        draft.sent = [s for s in draft.sent if s not in gone]
        return None

    def _total_small(self, draft: Draft) -> bool | None:
        if not draft.sent:
            return False
        before = len(draft.sent)
        self._short(draft)
        draft.total -= before - len(draft.sent)
        return None

    def _total_big(self, draft: Draft) -> None:
        draft.total += self.rng.choice((1, 1, 3, self.limit, 20 * self.limit))

    def _total_odd(self, draft: Draft) -> None:
        draft.total = self.rng.choice(ODD_TOTALS)

    def _twice(self, draft: Draft) -> bool | None:
        return self._repeat(draft, {})

    def _twice_different(self, draft: Draft) -> bool | None:
        return self._repeat(draft, {"comment": "the other one"})

    def _repeat(self, draft: Draft, change: dict[str, Any]) -> bool | None:
        if not draft.sent or len(draft.sent) >= self.limit:
            return False
        first = min((s for s in draft.sent if s.id is not None), key=lambda s: s.id or 0, default=None)
        if first is None:
            return False
        readable = first.readable and {**first.readable, **change}
        again = Sent(first.id, {**first.record, **change}, first.sound, readable=readable, unread=first.unread)
        draft.sent.append(again)
        self.rng.shuffle(draft.sent)
        return None

    def _emptied(self, draft: Draft) -> bool | None:
        if not draft.sent:
            return False
        draft.sent, draft.total = [], 0
        return None

    def _stranger(self, draft: Draft) -> bool | None:
        record = self.others()
        if record is None or len(draft.sent) >= self.limit or type(draft.total) is not int:
            return False
        draft.sent.append(Sent(record["id"], record))
        draft.total += 1
        return None

    def _bad_record(self, draft: Draft) -> bool | None:
        if not draft.sent:
            return False
        for sent in self._some(draft):
            sent.record, sent.sound = {**sent.record, **self.rng.choice(SPOILT)}, False
        return None

    def _bad_element(self, draft: Draft) -> bool | None:
        sound = [s for s in draft.sent if s.sound and s.readable is None]
        if not sound:
            return False
        for sent in self.rng.sample(sound, self.rng.randrange(1, min(3, len(sound)) + 1)):
            self._spoil_element(sent)
        return None

    def _spoil_element(self, sent: Sent) -> None:
        """Put an unusable element into one of the record's arrays, often in the place of another one."""
        array = self.rng.choice(list(SPOILT_ELEMENTS))
        if array != "site_blocks":
            whole, readable = self._spoilt(sent.record[array], array)
        elif not sent.record["campaigns"]:
            return
        else:
            first, *others = sent.record["campaigns"]
            blocks, readable_blocks = self._spoilt(first["site_blocks"], array)
            whole = [{**first, "site_blocks": blocks}, *others]
            readable = [{**first, "site_blocks": readable_blocks}, *others]
        name = "campaigns" if array == "site_blocks" else array
        sent.readable, sent.unread = {**sent.record, name: readable}, frozenset({array})
        sent.record = {**sent.record, name: whole}

    def _spoilt(self, elements: list[Any], array: str) -> tuple[list[Any], list[Any]]:
        """The elements including an unusable one, and the usable ones."""
        usable = list(elements)
        if usable and self.rng.random() < 0.7:
            usable.pop(self.rng.randrange(len(usable)))
        at = self.rng.randrange(len(usable) + 1)
        return [*usable[:at], self.rng.choice(SPOILT_ELEMENTS[array]), *usable[at:]], usable

    def _bad_id(self, draft: Draft) -> bool | None:
        if not draft.sent:
            return False
        sent = self.rng.choice(draft.sent)
        sent.was, sent.id, sent.sound = sent.id, None, False
        sent.record = {**sent.record, "id": self.rng.choice(BAD_IDS)}
        return None

    def _too_many(self, draft: Draft) -> bool | None:
        if not draft.sent:
            return False
        while len(draft.sent) <= self.limit:
            draft.sent.append(draft.sent[0])
        return None
