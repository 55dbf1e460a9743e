"""Answers that are not true: rows held back, repeated, invented or spoilt, totals that are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulation.ears import Sent

SPOILT: tuple[dict[str, Any], ...] = (
    {"activation_date": "0000-00-00 00:00:00"},
    {"activation_date": "2026-02-30 10:00:00"},
    {"status": 5},
    {"campaigns": {}},
    {"campaigns": [{"campaign_id": "7", "site_blocks": []}]},
    {"scenarios": None},
    {"virtual_phone_number": ["+7"]},
)
BAD_IDS = ("12", None, 1.5, True, 2**63)
ODD_TOTALS: tuple[Any, ...] = ("5", None, -1, 1.5, True, [])


@dataclass
class Draft:
    """An answer on its way: the rows, the announced total, and the lies told in it."""

    sent: list[Sent]
    total: Any
    lies: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Liar:
    """Bends drafts. `limit`: the page limit of the request; `others`: a record of another customer, if there is one."""

    rng: random.Random
    limit: int
    others: Callable[[], dict[str, Any] | None]

    def tell(self, name: str, draft: Draft) -> None:
        """Tell the lie of this name, if the draft gives an opening for it."""
        if getattr(self, f"_{name}")(draft) is not False:
            draft.lies.append(name)

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
        draft.sent.append(Sent(first.id, {**first.record, **change}, first.sound))
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
