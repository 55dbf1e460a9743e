"""Judge the recipe of docs/attribution.md: what it says of synthetic calls, against the truth at each call's second.

python -m benchmarks.certainty --calls 1000000                        both databases; daily, hourly, every 5 minutes
python -m benchmarks.certainty --beats 3600 --databases sqlite        one of each

An account of `--numbers` lives for `--days`; `--share` of its numbers change a day, at any second. Prints a table. Ends
with an error if a call that is marked certain is wrong, unless its number went away and came back between two
observations.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from benchmarks.attribution import Call, instant_of, statements_of, write_calls
from benchmarks.beats import START, Campaigns, Plan, Truth, live
from benchmarks.databases import KINDS
from benchmarks.measuring import ROOT
from etl.store.engine import open_warehouse

PAGE = ROOT / "docs" / "attribution.md"
BEATS = {86_400: "daily", 3_600: "hourly", 300: "every 5 minutes"}
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class Answer:
    """A row of the recipe's answer: what it says of a call, and the campaigns before and after."""

    certainty: str | None
    campaign: int | None
    before: int | None
    after: int | None


@dataclass
class Verdict:
    """Counts of calls by certainty, and of those whose answer differs from the truth.

    `round_trips`: marked certain and wrong, for the number went away and came back between two observations; `twice`:
    marked changed, with a truth that is no candidate, for there was more than one change; `wrong`: any other answer
    that the truth contradicts.
    """

    certainty: Counter[str] = field(default_factory=Counter)
    round_trips: int = 0
    twice: int = 0
    wrong: list[tuple[Call, list[Answer], Campaigns]] = field(default_factory=list)

    @property
    def between(self) -> int:
        """Calls between the first and the last observation."""
        return sum(self.certainty[word] for word in ("certain", "changed", "no row"))


def calls_to(
    truth: Truth, count: int, end: datetime, near: Sequence[tuple[datetime, datetime]], dice: random.Random
) -> tuple[list[Call], list[int]]:
    """Calls at any second up to `end`, to numbers that exist then; and the numbers' ids, in their order.

    `near`: syncs during which, or half a minute before or after, every third call comes.
    """
    ids, seconds = sorted(truth.phones), (end - START).total_seconds()
    calls: list[Call] = []
    called: list[int] = []
    while len(calls) < count:
        start, length = START, seconds
        if near and len(calls) % 3 == 0:
            begin, observed = dice.choice(near)
            start, length = begin - timedelta(seconds=30), (observed - begin).total_seconds() + 60
        moment = start.replace(microsecond=0) + timedelta(seconds=int(dice.random() * length))
        number_id = dice.choice(ids)
        if truth.at(number_id, moment) is not None:
            calls.append((len(calls), moment, truth.phones[number_id]))
            called.append(number_id)
    return calls, called


def judge(engine: Engine, truth: Truth, count: int, *, near_syncs: bool = False, page: Path = PAGE) -> Verdict:
    """The answers of a page's recipe to synthetic calls, each compared with the truth."""
    with engine.connect() as connection:
        syncs = _syncs(connection)
        end = syncs[-1][1] + (syncs[-1][1] - START) / 50
        calls, called = calls_to(truth, count, end, syncs if near_syncs else (), random.Random(1))
        write_calls(connection, calls)
        answers = _answers(connection, page)
        connection.rollback()
    verdict = Verdict()
    for call, number_id in zip(calls, called, strict=True):
        _count(verdict, call, answers[call[0]], truth, number_id, syncs)
    return verdict


def _syncs(connection: Connection) -> list[tuple[datetime, datetime]]:
    """Begin and observation of each published sync."""
    rows = connection.execute(text("select started_at, observed_at from account_syncs order by observed_at"))
    return [(instant_of(started), instant_of(observed)) for started, observed in rows]


def _answers(connection: Connection, page: Path) -> dict[int, list[Answer]]:
    *prepare, join = statements_of(page)
    for statement in prepare:
        connection.execute(text(statement))
    answers: dict[int, list[Answer]] = defaultdict(list)
    for row in connection.execute(text(join)):
        told = Answer(row.certainty, row.campaign_id, row.campaign_id_before, row.campaign_id_after)
        answers[row.call_id].append(told)
    return answers


# -- one call


def _count(
    verdict: Verdict,
    call: Call,
    answers: list[Answer],
    truth: Truth,
    number_id: int,
    syncs: Sequence[tuple[datetime, datetime]],
) -> None:
    words = {answer.certainty for answer in answers}
    word = next((w for w in ("before", "later", "changed", "certain") if w in words), "no row")
    if word == "no row" and not syncs[0][1] <= call[1] < syncs[-1][0]:
        word = "not observed"
    verdict.certainty[word] += 1
    moment, there = call[1], truth.at(number_id, call[1]) or frozenset()
    known = {a.campaign for a in answers if a.certainty == "certain" and a.campaign is not None}
    possible = known | {c for a in answers for c in (a.before, a.after) if c is not None}
    around = truth.between(number_id, *_around(moment, syncs))
    misses = (known - there) | (there - known if word in ("certain", "no row") else set())
    if misses and all(_came_back(campaign, moment, around) for campaign in misses):
        verdict.round_trips += 1
    elif not misses and word == "changed" and there - possible and len(around) > 2:
        verdict.twice += 1
    elif misses or (word == "changed" and there - possible) or _misplaced(word, moment, syncs):
        verdict.wrong.append((call, answers, there))


def _misplaced(word: str, moment: datetime, syncs: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether a call is said to be later than the last observation, or before the first one, and is not."""
    return (word == "later" and moment < syncs[-1][0]) or (word == "before" and moment >= syncs[0][1])


def _around(moment: datetime, syncs: Sequence[tuple[datetime, datetime]]) -> tuple[datetime, datetime]:
    """Begin of the last sync that had observed before a moment, and end of the first that began after it."""
    before = bisect_right(syncs, moment, key=lambda sync: sync[1])
    after = bisect_left(syncs, moment, key=lambda sync: sync[0])
    start = syncs[before - 1][0] if before else START
    return start, syncs[after][1] if after < len(syncs) else datetime.max.replace(tzinfo=moment.tzinfo)


def _came_back(campaign: int, moment: datetime, around: Iterable[tuple[datetime, Campaigns]]) -> bool:
    """Whether a campaign was (or was not) a number's before and after a moment, and was not (or was) in between."""
    held = [(begin <= moment, campaign in (campaigns or ())) for begin, campaigns in around]
    earlier = [is_in for then, is_in in held if then]
    later = [is_in for then, is_in in held if not then]
    now = earlier[-1]
    return (not now) in earlier and (not now) in later


# -- the command


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, default in (
        ("numbers", int, 300),
        ("days", float, 7),
        ("share", float, 0.05),
        ("calls", int, 1_000_000),
    ):
        asked.add_argument(f"--{name}", type=kind, default=default)
    asked.add_argument("--beats", type=int, nargs="+", default=list(BEATS), help="seconds from one sync to the next")
    asked.add_argument("--databases", nargs="+", choices=list(KINDS), default=list(KINDS))
    options = asked.parse_args()
    print(f"| beat | database | syncs | certain | changed | no row | certain, and wrong |\n|{'---|' * 7}")
    for kind in options.databases:
        folder = Path(tempfile.mkdtemp(prefix="vnsync-certainty-"))
        try:
            with KINDS[kind](folder) as make:
                for beat in options.beats:
                    _measure(make().url, kind, beat, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(url: str, kind: str, beat: int, options: argparse.Namespace) -> None:
    engine = open_warehouse(url)
    truth = live(engine, Plan(numbers=options.numbers, days=options.days, beat=beat, share=options.share))
    with engine.connect() as connection:
        syncs = len(_syncs(connection))
    verdict = judge(engine, truth, options.calls)
    engine.dispose()
    told: list[Any] = [BEATS.get(beat, f"{beat} s"), DATABASES[kind], syncs]
    told += [f"{100 * verdict.certainty[word] / verdict.between:.3f} %" for word in ("certain", "changed", "no row")]
    told.append(f"{verdict.round_trips} of {verdict.certainty['certain']}")
    print(f"| {' | '.join(map(str, told))} |", flush=True)
    assert not verdict.wrong, verdict.wrong[:3]


if __name__ == "__main__":
    main()
