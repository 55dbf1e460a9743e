"""Runs that a restored backup undid: the archive has them, but later runs do not continue from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from etl.archive.lines import Publishes
from etl.replay.outcome import Episode


def undone(episodes: Sequence[Episode]) -> list[int]:
    """Runs, in order, that are not among the predecessors of the archive's last observation of some account.

    `episodes`: in the order of their observations. If a predecessor is not in the archive (its run was pruned), runs
    before that point are not reported.
    """
    accounts = defaultdict[int, list[tuple[int, Publishes]]](list)
    for episode in episodes:
        for account_id, published in episode.published.items():
            accounts[account_id].append((episode.run_id, published))
    found = {run_id for published in accounts.values() for run_id in _undone(published)}
    return [e.run_id for e in episodes if e.run_id in found]


def _undone(published: Sequence[tuple[int, Publishes]]) -> list[int]:
    places: dict[datetime, int] = {one.observed_at: place for place, (_, one) in enumerate(published)}
    path = [len(published) - 1]
    while (before := published[path[-1]][1].previous) is not None and places.get(before, path[-1]) < path[-1]:
        path.append(places[before])
    return [published[place][0] for later, earlier in pairwise(path) for place in range(earlier + 1, later)]
