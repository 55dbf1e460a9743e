"""What is measured: whole processes, in turn, each on its own database, against the same source on the same day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from benchmarks.databases import Database, Make
from benchmarks.history import synthesize
from benchmarks.measuring import Figures, run
from benchmarks.source import Source, serving
from benchmarks.subjects import ONE_BY_ONE, SIDE_BY_SIDE, VNSYNC, Subject

STEPS = {"first load": 0, "quiet re-sync": 0, "1 % changed": 1, "10 % changed": 2}
"""Each step, and the day at which the source is."""
CUSTOMERS, EACH, LATENCY = 200, 50, 0.05
"""The agency: customers, numbers of each, and the seconds that every answer takes."""

Key = tuple[str, str, str, str]
"""Scenario, kind of database, step, subject."""
Say = Callable[[str], None]


@dataclass
class Results:
    """Every figure that was measured, round by round; subjects run on `cores`, or on any."""

    figures: defaultdict[Key, list[Figures]]
    say: Say
    cores: Collection[int] = ()

    def measure(self, key: Key, subject: Subject, database: Database, source: Source) -> None:
        """Run a subject once."""
        command, environment = subject.run_on(database, source.url, source.token)
        found = run(command, environment, database.counters, self.cores)
        found = replace(found, size=database.size())
        self.figures[key].append(found)
        scenario, kind, step, name = key
        said = f"{scenario:24} {kind:11} {step:14} {name:13}"
        self.say(f"{said} {found.wall:7.2f} s, {found.cpu:6.2f} s cpu, {found.memory:5.0f} MiB")


def warm_up(make: Make, subjects: Sequence[Subject]) -> None:
    """Run everybody once, not counted: what they import is compiled and in the page cache, as on any other day."""
    with serving(100) as source:
        databases = [make() for _ in subjects]
        for subject, database in zip(subjects, databases, strict=True):
            command, environment = subject.run_on(database, source.url, source.token)
            run(command, environment)
        for database in databases:
            database.remove()


def beside(results: Results, numbers: int, kind: str, make: Make, subjects: Sequence[Subject], rounds: int) -> None:
    """One account: every subject loads it, and follows it through the days; who begins changes from round to round."""
    name = f"{numbers} numbers"
    able = [subject for subject in subjects if subject.takes(numbers, kind)]
    for subject in subjects:
        if subject not in able:
            results.say(f"{name:24} {kind:11} {'left out':14} {subject.name:13} would take too long")
    with serving(numbers) as source:
        for turn in range(rounds):
            first = turn % max(1, len(able))
            order = [*able[first:], *able[:first]]
            databases = {subject.name: make() for subject in order}
            for step, days in STEPS.items():
                source.go_to(days)
                for subject in order:
                    results.measure((name, kind, step, subject.name), subject, databases[subject.name], source)
            for database in databases.values():
                database.remove()


def agency(results: Results, kind: str, make: Make, rounds: int, *, customers: int = CUSTOMERS) -> None:
    """Many small customers, far away: one by one, and side by side."""
    name = f"agency of {customers}"
    with serving(customers * EACH, customers=customers, latency=LATENCY) as source:
        for _ in range(rounds):
            databases = {subject.name: make() for subject in (ONE_BY_ONE, SIDE_BY_SIDE)}
            for step in ("first load", "quiet re-sync"):
                for subject in (ONE_BY_ONE, SIDE_BY_SIDE):
                    results.measure((name, kind, step, subject.name), subject, databases[subject.name], source)
            for database in databases.values():
                database.remove()


def growth(results: Results, numbers: int, kind: str, make: Make) -> None:
    """A tenth of the numbers and all of them, in one account, and in ten accounts and a hundred of the same size."""
    for size, customers in ((numbers // 10, 0), (numbers, 0), (numbers // 10, 10), (numbers, 100)):
        where = f"{customers} accounts" if customers else "1 account"
        with serving(size, customers=customers) as source:
            database = make()
            for step in list(STEPS)[:3]:
                source.go_to(STEPS[step])
                results.measure((f"{size} in {where}", kind, step, VNSYNC.name), VNSYNC, database, source)
            database.remove()


def history(results: Results, numbers: int, days: int, kind: str, make: Make, rounds: int) -> None:
    """What a re-sync costs with so many days of 1 % changes behind it, beside one with none."""
    name = f"{numbers} numbers"
    with serving(numbers) as source:
        for _ in range(rounds):
            databases = {f"{past} days": make() for past in (0, days)}
            source.go_to(0)
            for past, database in databases.items():
                results.measure((name, kind, "first load", past), VNSYNC, database, source)
            synthesize(databases[f"{days} days"].url, days)
            for step in ("quiet re-sync", "1 % changed"):
                source.go_to(STEPS[step])
                for past, database in databases.items():
                    results.measure((name, kind, step, past), VNSYNC, database, source)
            for database in databases.values():
                database.remove()
