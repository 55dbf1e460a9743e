"""Selection of the tests for `make test`: which run on both databases, and which on one of the two.

A test with many sets of parameters checks the same for each set, so every other set on each database is enough to check
both databases. A test whose subject is the source, an archive or the command line runs on one of the two, because other
tests cover its work in a database. The tests left out are marked `soak`, so that `make soak` runs them.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable

import pytest

ELSEWHERE = (
    "tests/cli/",
    "tests/contract/",
    "tests/faults/access/",
    "tests/faults/data/",
    "tests/faults/evidence/",
    "tests/faults/protocol/",
    "tests/faults/security/",
    "tests/faults/transport/",
    "tests/integration/archive/",
    "tests/integration/test_agency.py",
    "tests/integration/test_plan.py",
    "tests/integration/test_quarantine.py",
    "tests/integration/test_shortcuts.py",
    "tests/integration/test_still_held.py",
)
"""Folders and modules whose subject is not the database: each of their tests runs on one of the two.

Which one depends on the test's name alone, so about half of each folder's tests run on each.
"""


def mark_other_halves(items: Iterable[pytest.Item], databases: tuple[str, ...]) -> None:
    """Mark as `soak` the tests that `make test` runs on the other database only."""
    for test, sets in _sets_by_test(items).items():
        alone = test.startswith(ELSEWHERE)
        if len(sets) < len(databases) and not alone:
            continue
        first = zlib.crc32(test.encode()) if alone else 0
        for index, on_databases in enumerate(sets.values(), first):
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
