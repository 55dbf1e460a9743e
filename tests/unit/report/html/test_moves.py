"""Numbers that moved: from where, to where, when at the earliest and at the latest, by the names of the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from etl.read.change_kinds import ChangeEvent, Kind, Thing
from etl.read.changes import Change
from etl.read.moved import Moved
from etl.report.html.markup import written
from etl.report.html.moves import latest_section, moved_section
from tests.support.html_tree import Node, parsed

AT = datetime(2026, 1, 10, 6, tzinfo=UTC)
NUMBER = Thing(entity="number", id=100, name="74950000100")
SPRING, SUMMER = (Thing(entity="campaign", id=i, name=n) for i, n in ((1, "Spring"), (2, "Summer")))
NAMES = {7: "Seven", 8: None}


def _change(event: ChangeEvent, days: int = 0, before: bool = True) -> Change:
    at = AT - timedelta(days=days)
    earlier = at - timedelta(days=1) if before else None
    return Change(account_id=7, observed_at=at, previous_observed_at=earlier, run_id=1, change_event=event)


def _campaigns(number: Thing = NUMBER) -> ChangeEvent:
    return ChangeEvent(kind=Kind.MOVED, number=number, before=[SPRING], after=[SUMMER])


def _page(*changes: Change, more: bool = False) -> Node:
    return parsed(written(moved_section(Moved(changes=changes, more=more), NAMES, "the last 3 observed days"), str))


def test_a_move_has_from_and_to() -> None:
    """The number, both campaigns, the account, and the interval in which it happened."""
    assert _page(_change(_campaigns())).one("table").rows() == [
        ["number", "from", "to", "account", "found (UTC)"],
        ["74950000100 100", "Spring 1", "Summer 2", "Seven 7", "2026-01-10 06:00:00 after 2026-01-09 06:00:00"],
    ]


def test_a_move_between_accounts_names_both() -> None:
    """Out of this account with its campaigns, or into it; the other account by its name of the time."""
    other = Thing(entity="account", id=8, name="Eight")
    out = ChangeEvent(kind=Kind.NUMBER_MOVED_OUT, number=NUMBER, thing=other, before={"campaigns": [SPRING]})
    came = ChangeEvent(kind=Kind.NUMBER_MOVED_IN, number=NUMBER, thing=other, after={"campaigns": []})
    rows = _page(_change(out), _change(came, before=False)).one("table").rows()
    assert [row[1:3] for row in rows[1:]] == [
        ["account Seven 7 Spring 1", "account Eight 8"],
        ["account Eight 8", "account Seven 7"],
    ]
    assert rows[2][-1] == "2026-01-10 06:00:00 first observation"


def test_many_campaigns_of_a_number_are_counted() -> None:
    """Three are named, so that no number fills the page; one without a name is shown by its id."""
    several = [Thing(entity="campaign", id=i) for i in range(1, 10)]
    event = ChangeEvent(kind=Kind.MOVED, number=Thing(entity="number", id=5), before=several, after=[SUMMER])
    row = _page(_change(event)).one("table").rows()[1]
    assert row[:3] == ["5", "1 2 3 and 6 more", "Summer 2"]


def test_that_nothing_moved_is_said() -> None:
    """A sentence states it with the days covered; where there are more moves, a command that lists all."""
    assert "No number changed its campaign or account on the last 3 observed days." in _page().one("section").text
    page = _page(_change(_campaigns()), more=True)
    assert page.one("code").text == "vnsync changes --details"


def test_latest_changes_stand_under_their_interval() -> None:
    """One heading for an observation, and a sentence for each of its changes."""
    renamed = ChangeEvent(kind=Kind.RENAMED, thing=SPRING, before="Winter", after="Spring")
    changes = [_change(_campaigns()), _change(renamed), _change(_campaigns(), days=1)]
    page = parsed(written(latest_section(changes, more=True, account_id=7), str))
    assert [head.text for head in page.all("h3")] == [
        "After 2026-01-09 06:00:00, not later than 2026-01-10 06:00:00",
        "After 2026-01-08 06:00:00, not later than 2026-01-09 06:00:00",
    ]
    assert [[line.text for line in lines.all("li")] for lines in page.of_class("lines")] == [
        [
            '74950000100 (100): moved from campaign "Spring" (1) to "Summer" (2)',
            'campaign 1: renamed from "Winter" to "Spring"',
        ],
        ['74950000100 (100): moved from campaign "Spring" (1) to "Summer" (2)'],
    ]
    assert page.one("code").text == "vnsync changes --account 7 --details"
