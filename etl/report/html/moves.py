"""Sections of the report on numbers: those that moved, with from and to, and the latest changes of one account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from etl.read.change_kinds import Kind, Thing
from etl.read.changes import Change
from etl.read.moved import Moved
from etl.report.changes import sentence
from etl.report.html.markup import Element, Node, element
from etl.report.html.parts import Cell, prose, remark, section, shortened, small, table, unbroken
from etl.report.wording import counted, moment, thousands

SHOWN = 3
"""Upper limit of the campaigns of one number that are told."""
Names = Mapping[int, str | None]
"""Names of accounts by id."""


def moved_section(moved: Moved, names: Names, period: str) -> Element:
    """Section with the numbers that changed campaign or account; `period`: of which days, in words."""
    title = "Numbers that moved"
    if not moved.changes:
        return section("moved", title, remark(f"No number changed its campaign or account on {period}."))
    more = f"The newest {thousands(len(moved.changes))}. `vnsync changes --details` tells all." if moved.more else ""
    words = f"To another campaign or account, on {period}, by the names of the time. {more}"
    several = len(names) > 1
    heads = ["number", "from", "to", *(["account"] if several else []), "found (UTC)"]
    rows = [_row(change, names, several) for change in moved.changes]
    return section("moved", title, remark(words), table(heads, rows, label=title, cards=True))


def _row(change: Change, names: Names, several: bool) -> list[Cell]:
    event = change.change_event
    number = event.number or Thing(entity="number", id=0)
    own = Thing(entity="account", id=change.account_id, name=names.get(change.account_id))
    left, joined = event.before or (), event.after or ()
    if event.kind is Kind.NUMBER_MOVED_OUT and event.thing:
        left, joined = [own, *event.before["campaigns"]], [event.thing]
    elif event.kind is Kind.NUMBER_MOVED_IN and event.thing:
        left, joined = [event.thing], [own, *event.after["campaigns"]]
    return [
        Cell([unbroken(number.name), _id(number)] if number.name else [_id(number)]),
        Cell([*_things(left)]),
        Cell([*_things(joined)]),
        *([Cell([*_thing(own)])] if several else []),
        Cell([unbroken(moment(change.observed_at)), _after(change)]),
    ]


def _things(things: Sequence[Thing]) -> Iterator[Node]:
    for thing in things[:SHOWN]:
        kind = [small("account")] if thing.entity == "account" else []
        yield element("div", kind, *_safe(thing))
    if len(things) > SHOWN:
        yield small(f"and {thousands(len(things) - SHOWN)} more")


def _safe(thing: Thing) -> Sequence[Node]:
    return Cell([*_thing(thing)]).nodes


def _thing(thing: Thing) -> Iterator[Node]:
    if thing.name is not None:
        yield shortened(thing.name)
    yield _id(thing)


def _id(thing: Thing) -> Element:
    return element("small", unbroken(str(thing.id)))


def _after(change: Change) -> Element | None:
    """The other end of the interval in which the change happened."""
    before = change.previous_observed_at
    return element("small", "after ", unbroken(moment(before))) if before else small("first observation")


# -- latest changes


def latest_section(changes: Sequence[Change], *, more: bool, account_id: int) -> Element:
    """Section with an account's latest changes, newest observation first, each in one sentence."""
    title = "Latest changes"
    if not changes:
        return section("latest", title, remark("Nothing changed after the first observation."))
    told = f"{'The newest ' if more else ''}{counted(len(changes), 'change')}, by the names of the time."
    rest = f" `vnsync changes --account {account_id} --details` tells all." if more else ""
    groups = [(head, [*several]) for head, several in groupby(changes, key=_interval)]
    return section("latest", title, remark(told + rest), (_observation(*group) for group in groups))


def _interval(change: Change) -> str:
    before = change.previous_observed_at
    return f"After {moment(before)}, not later than {moment(change.observed_at)}"


def _observation(interval: str, changes: Sequence[Change]) -> Element:
    lines = (element("li", prose(sentence(change.change_event), 600)) for change in changes)
    return element("div", element("h3", interval), element("ul", lines, class_="lines"))
