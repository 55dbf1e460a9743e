"""The README's attribution join over synthetic calls, exact against an answer that Python works out by itself."""

from __future__ import annotations

import random
import re
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

README = Path(__file__).parents[1] / "README.md"
Answer = tuple[int, str | None]
Call = tuple[int, datetime, str]
"""Id, instant and phone number of a call."""


def statements_of(page: Path) -> list[str]:
    """A page's SQL for many calls, as printed: the last of them is the join."""
    blocks: list[str] = re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    told = next(block for block in blocks if "create temporary table" in block)
    return [part.strip() for part in told.split(";") if part.strip()]


def attribute(engine: Engine, calls: int, seed: int = 1) -> int:
    """Join the calls by the README's way and by Python's; prints how long; returns how many answers there were."""
    with engine.connect() as connection:
        made = _calls(connection, calls, random.Random(seed))
        write_calls(connection, made)
        start = time.perf_counter()
        *prepare, join = statements_of(README)
        for statement in prepare:
            connection.execute(text(statement))
        found = sorted((row.call_id, row.campaign_name) for row in connection.execute(text(join)))
        took = time.perf_counter() - start
        wanted = sorted(_answers(connection, made), key=_order)
        connection.rollback()
    assert sorted(found, key=_order) == wanted, "the join and Python disagree"
    attributed = sum(name is not None for _, name in wanted)
    print(f"{calls} calls joined to the campaign of their moment: {took:.1f} s, {attributed} attributed, all exact")
    return len(wanted)


def _order(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1] or ""


def _calls(connection: Connection, count: int, dice: random.Random) -> list[Call]:
    """Calls at any moment since a day before the first observation, to numbers of then and now, and to strangers."""
    numbers = "select virtual_phone_number from virtual_numbers_history where virtual_phone_number is not null"
    phones = [*sorted({row[0] for row in connection.execute(text(numbers))}), "0"]
    span = connection.execute(text("select min(observed_at), max(observed_at) from account_syncs")).one()
    first, last = (instant_of(moment) for moment in span)
    edges = [instant_of(row[0]) for row in connection.execute(text("select observed_at from account_syncs"))]
    seconds = (last - first + timedelta(days=2)).total_seconds()
    moments = (
        dice.choice(edges) if dice.random() < 0.01 else first + timedelta(seconds=dice.random() * seconds - 86_400)
        for _ in range(count)
    )
    return [(i, moment, dice.choice(phones)) for i, moment in enumerate(moments)]


def instant_of(stored: Any) -> datetime:
    """An instant as either database returns it."""
    return stored if isinstance(stored, datetime) else datetime.fromisoformat(f"{stored}+00:00")


def write_calls(connection: Connection, calls: list[Call]) -> None:
    """Put the calls into a temporary table `calls`."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        connection.execute(text("create temporary table calls (call_id integer, call_time text, phone text)"))
        rows = ((i, moment.strftime("%Y-%m-%d %H:%M:%S.%f"), phone) for i, moment, phone in calls)
        driver.executemany("insert into calls values (?, ?, ?)", rows)
        return
    connection.execute(text("create temporary table calls (call_id integer, call_time timestamptz, phone text)"))
    with driver.cursor().copy("copy calls from stdin") as copy:
        for call in calls:
            copy.write_row(call)


def _answers(connection: Connection, calls: list[Call]) -> Iterator[Answer]:
    """By the contract's words, from the history tables alone: who held the number, under which name, at that moment."""
    held = _held(connection)
    for call_id, moment, phone in calls:
        names = [name for link in held.get(phone, ()) if (name := link(moment)) is not _NOBODY]
        yield from ((call_id, name) for name in names)
        if not names:
            yield call_id, None


_NOBODY: Any = object()


def _held(connection: Connection) -> dict[str, list[Any]]:
    """For each phone, functions that tell the campaign's name at a moment: one for each number and link."""
    phones = _versions(connection, "virtual_numbers", ("virtual_number_id",), "virtual_phone_number")
    names = _versions(connection, "campaigns", ("campaign_id",), "campaign_name")
    links = _versions(connection, "virtual_number_campaigns", ("virtual_number_id", "campaign_id"), "campaign_id")
    out: dict[str, list[Any]] = defaultdict(list)
    for (account, number, campaign), link in links.items():
        own = phones[account, number]
        for phone in {value for _, _, value in own if value is not None}:
            out[phone].append(_teller(phone, link, own, names[account, campaign]))
    return out


def _versions(connection: Connection, table: str, key: tuple[str, ...], value: str) -> dict[tuple[Any, ...], list[Any]]:
    """(from, to, value) by account and key, ascending."""
    columns = ", ".join(("account_id", *key, value))
    out: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in connection.execute(text(f"select {columns}, valid_from, valid_to from {table}_history")):
        *told, start, end = row
        out[tuple(told[:-1])].append((instant_of(start), end if end is None else instant_of(end), told[-1]))
    for versions in out.values():
        versions.sort(key=lambda version: version[0])
    return out


def _teller(phone: str, link: list[Any], numbers: list[Any], names: list[Any]) -> Any:
    def tell(moment: datetime) -> Any:
        if _at(link, moment) is _NOBODY or _at(numbers, moment) != phone:
            return _NOBODY
        return _at(names, moment)

    return tell


def _at(versions: list[Any], moment: datetime) -> Any:
    """The value of the version that held at the moment."""
    place = bisect_right(versions, moment, key=lambda version: version[0])
    if not place:
        return _NOBODY
    _, end, value = versions[place - 1]
    return value if end is None or moment < end else _NOBODY
