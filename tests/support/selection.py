"""Selection of the tests for `make test`: each test on both databases, each set of its parameters on one of the two.

A test with many sets of parameters checks the same for each set, so every other set on each database is enough to check
both databases. The other halves are marked `soak`, so that `make soak` runs them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest


def mark_other_halves(items: Iterable[pytest.Item], databases: tuple[str, ...]) -> None:
    """Mark every other set of parameters of a test on each database as `soak`."""
    for sets in _sets_by_test(items).values():
        if len(sets) < len(databases):
            continue
        for index, on_databases in enumerate(sets.values()):
            for database, item in on_databases.items():
                if len(on_databases) > 1 and databases.index(database) != index % len(databases):
                    item.add_marker(pytest.mark.soak)


def _sets_by_test(items: Iterable[pytest.Item]) -> dict[str, dict[str, dict[str, pytest.Item]]]:
    """The items that use a database: by test, by their other parameters, by database."""
    found: dict[str, dict[str, dict[str, pytest.Item]]] = defaultdict(lambda: defaultdict(dict))
    for item in items:
        call = getattr(item, "callspec", None)
        if call is None or "database" not in call.params or item.get_closest_marker("soak"):
            continue
        others = "-".join(part for part in call._idlist if part != call.params["database"])
        found[item.nodeid.partition("[")[0]][others][call.params["database"]] = item
    return found
