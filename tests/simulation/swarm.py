"""Swarm testing: each seed first draws the faults that are on and their rates, so that seeds differ in kind."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

TRANSPORT = (
    "unreachable", "read_timeout", "http_503", "http_429", "http_403", "http_404", "redirect", "html", "empty_body",
    "truncated", "stale_answer", "wrong_id", "gzip_cut",
)  # fmt: skip
PROTOCOL = (
    "internal_error", "unknown_error", "error_without_data", "minute_limit", "day_limit", "session_expired",
    "forbidden", "odd_limits", "filter_prohibited",
)  # fmt: skip
RESPONSE_FAULTS = (
    "short", "total_big", "total_small", "total_odd", "twice", "twice_different", "filter_ignored", "offset_ignored",
    "emptied", "stranger", "bad_record", "bad_element", "bad_id", "too_many", "not_a_list", "cut",
)  # fmt: skip
ROSTER = ("customers_shrunk", "users_shrunk", "roster_empty")
DECORATION = ("customers_refused", "decoration_refused", "odd_user")
"""Faults of optional answers: no run may fail because of them."""
PROCESS = (
    "crash", "stop", "second_runner", "zombie", "lost_commit", "commit_failed", "busy", "disk_full", "same_run_id",
)  # fmt: skip
CLOCK = ("clock_back", "clock_forward", "clock_stands")
BETWEEN = (
    "edition", "filter_unknown", "restore", "upgrade", "other_user", "other_installation", "other_key", "user_rights",
    "userless", "locked", "unlinked", "exchanged",
)  # fmt: skip
OF_VIEWERS = ("other_user", "other_key", "user_rights")
"""Faults that change the viewer of the next run, or its rights."""

ALL = (*TRANSPORT, *PROTOCOL, *RESPONSE_FAULTS, *ROSTER, *DECORATION, *PROCESS, *CLOCK, *BETWEEN)
STUBBORN = frozenset(("twice_different", "bad_record", "bad_element"))
"""Faults that come again once they have struck: a wrong record stays wrong."""
PER_ANSWER = frozenset((*TRANSPORT, *PROTOCOL, *RESPONSE_FAULTS, *ROSTER, *DECORATION))
"""Faults that strike answers; all others strike steps, statements and commits."""

RATES = (0.03, 0.1, 0.2, 0.3)
HOW_MANY = (0, 0, 1, 2, 3, 4, 8, 14)


@dataclass
class Swarm:
    """The faults of one seed: those that are on, their rates, and how often each has struck."""

    rng: random.Random
    rates: dict[str, float] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    calm: bool = False
    """Whether the liveness phase has begun: no fault strikes any more."""
    persistent: str | None = None
    """A fault that strikes at every opportunity during the present run."""

    @classmethod
    def draw(cls, rng: random.Random, under: tuple[str, ...] = ()) -> Swarm:
        """Draw the faults of this seed, and their rates. `under`: faults that are on in addition."""
        on = set(rng.sample(ALL, rng.choice(HOW_MANY)))
        for kind in (PROCESS, RESPONSE_FAULTS, BETWEEN):
            on.update(rng.sample(kind, rng.choice((0, 0, 1, 2))))
        on.update(under)
        return cls(rng, {name: rng.choice(RATES) for name in sorted(on)})

    def on(self, name: str) -> bool:
        """Whether the fault can strike at all."""
        return name in self.rates and not self.calm

    def strikes(self, name: str) -> bool:
        """Whether the fault strikes now."""
        if not self.on(name):
            return False
        rate = 0.5 if name in self.struck and name in STUBBORN else self.rates[name]
        if self.persistent != name and self.rng.random() >= rate:
            return False
        self.struck[name] += 1
        return True

    def new_run(self) -> None:
        """At the start of a run, a fault seldom becomes persistent for its length."""
        candidates = [name for name in self.rates if name in PER_ANSWER]
        self.persistent = None
        if candidates and not self.calm and self.rng.random() < 0.2:
            self.persistent = self.rng.choice(candidates)
