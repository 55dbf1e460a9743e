"""What happened, told from version pairs alone: no database, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from etl.domain.tables import TABLES, VIRTUAL_NUMBERS
from etl.read.happenings import Happening, Kind, Pair, of_number, of_shared
from etl.report.changes import TOTALS, sentence, total_words

BEFORE = dict.fromkeys(VIRTUAL_NUMBERS.value_names) | {"virtual_phone_number": "7495", "status": "active", "type": "va"}
NAMES = {"virtual_phone_number": "7495", "campaign_id": "Spring", "site_block_id": "header", "scenario_id": "Hello"}


def _own(before: dict[str, Any] | None, after: dict[str, Any] | None, **more: Any) -> Pair:
    return Pair(table="virtual_numbers", key=(1,), before=before, after=after, **more)


def _link(table: str, *key: int, gone: bool = False, **values: Any) -> Pair:
    told = {"virtual_number_id": 1, **values}
    before, after = (told, None) if gone else (None, told)
    return Pair(table=f"virtual_number_{table}", key=(1, *key), before=before, after=after, names=NAMES)


def _changed(table: str, *key: int, before: dict[str, Any], after: dict[str, Any]) -> Pair:
    return Pair(table=f"virtual_number_{table}", key=(1, *key), before=before, after=after, names=NAMES)


def _told(*pairs: Pair) -> list[Happening]:
    told = list(of_number(pairs))
    carried = [pair for happening in told for pair in happening.pairs]
    assert sorted(map(repr, carried)) == sorted(map(repr, pairs)), "each pair is told once"
    return told


def _sentence(*pairs: Pair) -> str:
    (happening,) = _told(*pairs)
    return sentence(happening)


def test_one_link_for_another_is_a_move() -> None:
    """The campaign that was left and the one that was joined, in one sentence; their blocks belong to it."""
    left = Pair(**{**vars(_link("campaigns", 10, gone=True)), "names": {**NAMES, "campaign_id": "Old"}})
    blocks = [_link("site_blocks", 10, 30, gone=True), _link("site_blocks", 11, 31)]
    text = _sentence(left, _link("campaigns", 11), *blocks)
    assert text == '7495 (1): moved from campaign "Old" (10) to "Spring" (11)'


def test_links_without_a_counterpart_are_told_one_by_one() -> None:
    """Added to, or taken out of, each campaign."""
    told = _told(_link("campaigns", 10), _link("campaigns", 11), _link("site_blocks", 10, 30))
    assert [h.kind for h in told] == [Kind.CAMPAIGN_JOINED, Kind.CAMPAIGN_JOINED]
    assert _sentence(_link("campaigns", 10, gone=True)) == '7495 (1): taken out of campaign "Spring" (10)'


def test_blocks_and_tracking_within_a_campaign_that_stays() -> None:
    """A block that came or went alone, and tracking that was switched or only became known."""
    assert _sentence(_link("site_blocks", 10, 30)) == (
        '7495 (1): added to site block "header" (30) of campaign "Spring" (10)'
    )
    for before, after, kind in ((True, False, "off"), (False, True, "on")):
        pair = _changed("site_blocks", 10, 30, before={"is_tracking": before}, after={"is_tracking": after})
        assert f"tracking switched {kind} in site block" in _sentence(pair)
    pair = _changed("site_blocks", 10, 30, before={"is_tracking": None}, after={"is_tracking": False})
    assert "unknown -> off" in _sentence(pair)


def test_rules_are_switched() -> None:
    """A rule of a scenario, on and off."""
    pair = _changed("scenarios", 40, 7, before={"is_active": True}, after={"is_active": False})
    assert _sentence(pair) == '7495 (1): rule switched off: scenario "Hello" (40) by rule 7'
    assert [h.kind for h in _told(_changed("scenarios", 40, 7, before={"is_active": 0}, after={"is_active": 1}))] == [
        Kind.RULE_SWITCHED_ON
    ]


def test_a_rule_that_becomes_known_is_no_new_scenario() -> None:
    """The older edition named no rule (0): the rules that take its place are reported, none is given or taken."""
    told = _told(_link("scenarios", 40, 0, gone=True), _link("scenarios", 40, 7), _link("scenarios", 40, 8))
    assert [h.kind for h in told] == [Kind.RULE_REPORTED, Kind.RULE_REPORTED]
    told = _told(_link("scenarios", 40, 0, gone=True), _link("scenarios", 41, 7))
    assert [h.kind for h in told] == [Kind.SCENARIO_TAKEN, Kind.SCENARIO_GIVEN]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("active", "manual_lock", Kind.LOCKED),
        ("limit_lock", "active", Kind.UNLOCKED),
        ("limit_lock", "manual_lock", Kind.STATUS_CHANGED),
        ("active", "reserved", Kind.STATUS_CHANGED),
    ],
)
def test_locking_is_told_as_such(old: str, new: str, kind: Kind) -> None:
    """Into a lock, out of one, or from one status to another."""
    (told,) = _told(_own(BEFORE | {"status": old}, BEFORE | {"status": new}))
    assert told.kind is kind
    assert f"{old} -> {new}" in sentence(told)


@pytest.mark.parametrize("column", VIRTUAL_NUMBERS.value_names)
def test_every_field_that_changes_is_told(column: str) -> None:
    """Whatever column of a number differs, something is told of it, with both values."""
    after: Any = {"a": 1} if column == "extra" else "new"
    (told,) = _told(_own(BEFORE, BEFORE | {column: after}))
    assert (told.before, told.after) == (BEFORE[column], after)
    assert " -> " in sentence(told)


def test_several_fields_at_once_are_several_happenings() -> None:
    """Each field has its own; the version change is carried once."""
    told = _told(_own(BEFORE, BEFORE | {"name": "x", "comment": "y"}))
    assert [h.kind for h in told] == [Kind.COMMENT_CHANGED, Kind.NAME_CHANGED]


def test_coming_and_going_take_their_links_along() -> None:
    """A number that is added, came back or is removed is one happening with its campaigns and scenarios."""
    links = (_link("campaigns", 10), _link("site_blocks", 10, 30), _link("scenarios", 40, 7))
    text = _sentence(_own(None, BEFORE), *links)
    assert text == ('7495 (1): added: active, va; in "Spring" (10); processed by "Hello" (40) by rule 7')
    assert _sentence(_own(None, BEFORE, came_back=True), *links).startswith("7495 (1): came back: ")
    assert _sentence(_own(None, BEFORE, first=True)).startswith("7495 (1): seen for the first time: ")
    gone = (_link("campaigns", 10, gone=True), _link("scenarios", 40, 7, gone=True))
    assert _sentence(_own(BEFORE, None), *gone).startswith("7495 (1): removed; it was active, va; in ")


def _shared(before: dict[str, Any] | None, after: dict[str, Any] | None, table: str = "campaigns", **more: Any) -> str:
    (told,) = of_shared(Pair(table=table, key=(10,), before=before, after=after, **more))
    return sentence(told)


def test_what_numbers_share() -> None:
    """Renamed, on another site, in use and no longer: in words."""
    spring = {"campaign_name": "Spring", "site_id": 5, "extra": None}
    assert _shared(spring, spring | {"campaign_name": "Summer"}) == 'campaign 10: renamed from "Spring" to "Summer"'
    assert _shared(spring, spring | {"site_id": 6}) == 'campaign "Spring" (10): on another site: 5 -> 6'
    assert _shared(spring, spring | {"extra": {"a": 1}}).endswith('other fields none -> {"a": 1}')
    assert _shared(None, spring).endswith("came into use")
    assert _shared(None, spring, came_back=True).endswith("in use again")
    assert _shared(None, spring, first=True).endswith("seen for the first time")
    assert _shared(spring, None).endswith("no number uses it any more")
    assert _shared({"site_domain_name": "a"}, {"site_domain_name": "b"}, "sites") == 'site 10: renamed from "a" to "b"'


def test_hostile_names_stay_in_their_quotes() -> None:
    """Quotes, line ends and escapes of a name cannot end the name in a sentence."""
    pair = Pair(
        **{**vars(_link("campaigns", 10)), "names": {**NAMES, "campaign_id": 'x" (1)\n7495 (2): removed\x1b[2J'}}
    )
    text = _sentence(pair)
    assert text == '7495 (1): added to campaign "x\\" (1)\\x0a7495 (2): removed\\x1b[2J" (10)'


def test_every_kind_has_its_words() -> None:
    """No kind is told by its code name."""
    assert TOTALS.keys() == set(Kind)
    assert total_words(Kind.RENAMED, "site block") == "site blocks renamed"
    assert {t.entity for t in TABLES if not t.per_number} == {"campaign", "site", "site block", "scenario"}
