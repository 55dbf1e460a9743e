"""Points that processes of one token share, if the settings say so: their pace, and how they find the roster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded
    from etl.domain.ports import Clock
    from etl.extract.rate_limiter import Pace
    from etl.sync.roster_lease import FindRoster


class Sharing(Struct, frozen=True):
    """The pace of a token, and its roster; None: this process has both to itself."""

    pace: Pace | None = None
    find_roster: FindRoster | None = None


@contextmanager
def sharing(loaded: Loaded, engine: Engine, clock: Clock) -> Iterator[Sharing]:
    """What this process shares with others that have the same token and warehouse."""
    if loaded.settings.share_points != "yes":
        yield Sharing()
        return
    import os
    import platform
    from random import SystemRandom

    from etl.cli.connect import credentials
    from etl.extract.ledger import SharedLedger
    from etl.extract.rate_limiter import Pace
    from etl.store.point_budgets import PointBudget
    from etl.sync.roster_lease import leased

    mine, random = credentials(loaded.settings), SystemRandom()
    process = f"{platform.node()}:{os.getpid()}:{random.randrange(16**8):08x}"
    with closing(PointBudget(engine, clock, lambda known: mine.named(known, random))) as budget:
        # an archive has to hold the answers from which its run can be replayed
        find_roster = None if loaded.settings.archive else leased(budget, clock)
        yield Sharing(Pace(SharedLedger(budget.change, process)), find_roster)
