"""Change events from pairs of versions alone: no database, no clock."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict, replace

from etl.domain import tables
from etl.domain.tables import TABLES, VIRTUAL_NUMBERS, Column
from etl.domain.tables import Kind as ColumnKind
from etl.read.change_events import of_number, of_shared
from etl.read.change_kinds import ChangeEvent, Kind, Pair
from etl.report.changes import TOTALS, sentence, total_words
from etl.report.fields import labels

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


def _told(*pairs: Pair) -> list[ChangeEvent]:
    told = list(of_number(pairs))
    carried = [pair for change_event in told for pair in change_event.pairs]
    assert sorted(map(repr, carried)) == sorted(map(repr, pairs)), "each pair is told once"
    return told


def _sentence(*pairs: Pair) -> str:
    (change_event,) = _told(*pairs)
    return sentence(change_event)


def test_one_link_for_another_is_a_move() -> None:
    """The campaign that was left and the one that was joined, in one sentence; their blocks belong to it."""
    left = Pair(**{**asdict(_link("campaigns", 10, gone=True)), "names": {**NAMES, "campaign_id": "Old"}})
    blocks = [_link("site_blocks", 10, 30, gone=True), _link("site_blocks", 11, 31)]
    text = _sentence(left, _link("campaigns", 11), *blocks)
    assert text == '7495 (1): moved from campaign "Old" (10) to "Spring" (11)'


def test_links_without_a_counterpart_are_told_one_by_one() -> None:
    """Added to, or removed from, each campaign."""
    told = _told(_link("campaigns", 10), _link("campaigns", 11), _link("site_blocks", 10, 30))
    assert [h.kind for h in told] == [Kind.CAMPAIGN_JOINED, Kind.CAMPAIGN_JOINED]
    assert _sentence(_link("campaigns", 10, gone=True)) == '7495 (1): removed from campaign "Spring" (10)'


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
    pair = replace(pair, reported=frozenset({"$.campaigns[].site_blocks[].is_tracking"}))
    assert _sentence(pair) == (
        '7495 (1): tracking of site block "header" (30) of campaign "Spring" (10) is known now: off'
    )


def test_rules_are_switched() -> None:
    """A rule of a scenario, on and off."""
    pair = _changed("scenarios", 40, 7, before={"is_active": True}, after={"is_active": False})
    assert _sentence(pair) == '7495 (1): rule switched off: scenario "Hello" (40) by rule 7'
    assert [h.kind for h in _told(_changed("scenarios", 40, 7, before={"is_active": 0}, after={"is_active": 1}))] == [
        Kind.RULE_SWITCHED_ON
    ]


def _rule(scenario: int, rule: int, *, gone: bool = False, is_active: bool | None = None, **more: Any) -> Pair:
    values = {"scenario_id": scenario, "call_processing_rule_id": rule, "is_active": is_active, "extra": None}
    return replace(_link("scenarios", scenario, rule, gone=gone, **values), **more)


RULE, ACTIVE = "$.scenarios[].call_processing_rule_id", "$.scenarios[].is_active"


@pytest.mark.fault("A09")
def test_a_rule_that_is_reported_for_the_first_time_is_known_now() -> None:
    """The older edition named no rule (0): the rules that take its place are known, none is given or taken."""
    now: dict[str, Any] = {"is_active": True, "reported": frozenset({RULE, ACTIVE})}
    told = _told(_rule(40, 0, gone=True), _rule(40, 7, **now), _rule(40, 8, **now))
    assert list(map(sentence, told)) == [
        '7495 (1): rule of scenario "Hello" (40) is known now: 7',
        '7495 (1): state of the rule of scenario "Hello" (40) by rule 7 is known now: on',
        '7495 (1): rule of scenario "Hello" (40) is known now: 8',
        '7495 (1): state of the rule of scenario "Hello" (40) by rule 8 is known now: on',
    ]
    told = _told(_rule(40, 0, gone=True), _rule(41, 7, **now))
    assert [h.kind for h in told] == [Kind.SCENARIO_TAKEN, Kind.SCENARIO_GIVEN]


@pytest.mark.fault("A09")
def test_a_rule_that_is_named_otherwise_has_changed() -> None:
    """Where the field was reported before, a rule in place of none is a change of the link, and nothing was given."""
    (told,) = _told(_rule(40, 0, gone=True, is_active=True), _rule(40, 7, is_active=True))
    assert told.kind is Kind.RULE_CHANGED
    assert sentence(told).endswith("changed: call_processing_rule_id 0 -> 7")


@pytest.mark.fault("A09")
def test_the_state_of_a_rule_apart_from_what_changed() -> None:
    """In a link that stays, a field reported for the first time is known; any other difference is a change."""
    before = {"is_active": None, "extra": None}
    after = {"is_active": False, "extra": {"priority": 1}}
    pair = replace(_changed("scenarios", 40, 7, before=before, after=after), reported=frozenset({ACTIVE}))
    changed, known = _told(pair)
    assert sentence(changed).endswith('changed: extra none -> {"priority": 1}')
    assert sentence(known).endswith("is known now: off")


@pytest.mark.parametrize("column", [c for c in VIRTUAL_NUMBERS.value_names if BEFORE[c] is None and c != "extra"])
@pytest.mark.fault("A09")
def test_any_field_of_a_number_can_become_known(column: str) -> None:
    """From null to a value when the source first reports the field: known now. Any other way: changed."""
    path = frozenset({f"$.{column}"})
    (told,) = _told(_own(BEFORE, BEFORE | {column: "new"}, reported=path))
    assert (told.kind, told.field, told.before, told.after) == (Kind.KNOWN, column, None, "new")
    assert " is known now: " in sentence(told)
    for old, new in (("old", "new"), ("old", None)):
        (told,) = _told(_own(BEFORE | {column: old}, BEFORE | {column: new}, reported=path))
        assert told.kind is not Kind.KNOWN


def test_a_column_that_was_added_later_changes_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared column without its own kind is an other field, labelled by its name."""
    shade = Column(name="shade", kind=ColumnKind.TEXT)
    wider = replace(VIRTUAL_NUMBERS, values=(*VIRTUAL_NUMBERS.values, shade))
    monkeypatch.setattr(tables, "VIRTUAL_NUMBERS", wider)
    (told,) = _told(_own(BEFORE | {"shade": "red"}, BEFORE | {"shade": "blue"}))
    assert (told.kind, told.field, told.before, told.after) == (Kind.FIELDS_CHANGED, "shade", "red", "blue")
    assert labels(wider.value_names)["shade"] == "shade"
    assert list(labels(wider.value_names))[-1] == "extra"


@pytest.mark.fault("A09")
def test_known_and_changed_in_one_observation() -> None:
    """Each field has its own event; the change of version is counted once."""
    pair = _own(
        BEFORE, BEFORE | {"status": "manual_lock", "name": "L1", "comment": "x"}, reported=frozenset({"$.name"})
    )
    assert [(h.kind, h.field) for h in _told(pair)] == [
        (Kind.LOCKED, "status"),
        (Kind.COMMENT_CHANGED, "comment"),
        (Kind.KNOWN, "name"),
    ]


@pytest.mark.fault("A09")
def test_undocumented_fields_become_known_one_by_one() -> None:
    """A field within `extra` that no record had before is known by its own name; others within it have changed."""
    pair = _own(BEFORE | {"extra": {"a": 1}}, BEFORE | {"extra": {"a": 2, "b": 3}}, reported=frozenset({"$.b"}))
    changed, known = _told(pair)
    assert (changed.kind, changed.before, changed.after) == (Kind.FIELDS_CHANGED, {"a": 1}, {"a": 2})
    assert sentence(known) == "7495 (1): b is known now: 3"
    (only,) = _told(_own(BEFORE, BEFORE | {"extra": {"b": 3}}, reported=frozenset({"$.b"})))
    assert (only.kind, only.field) == (Kind.KNOWN, "b")


@pytest.mark.fault("A09")
def test_erased_content_is_not_known_again() -> None:
    """Null in an erased version is not a value: a name in the next version is neither changed nor newly known."""
    path = frozenset({"$.name", "$.child_customer_id"})
    (told,) = _told(_own(BEFORE, BEFORE | {"name": "L1"}, erased=True, reported=path))
    assert told.kind is Kind.CONTENT_ERASED
    (told,) = _told(_own(BEFORE, BEFORE | {"name": "L1", "child_customer_id": 5}, erased=True, reported=path))
    assert (told.kind, told.field) == (Kind.KNOWN, "child_customer_id")


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
    """A difference in any column of a number gives an event with both values."""
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
    assert _shared(spring, spring | {"site_id": 6}) == 'campaign "Spring" (10): moved to another site: 5 -> 6'
    assert _shared(spring, spring | {"extra": {"a": 1}}).endswith('other fields none -> {"a": 1}')
    assert _shared(None, spring).endswith("came into use")
    assert _shared(None, spring, came_back=True).endswith("in use again")
    assert _shared(None, spring, first=True).endswith("seen for the first time")
    assert _shared(spring, None).endswith("no longer used by any number")
    told = frozenset({"$.campaigns[].campaign_name", "$.campaigns[].site_id"})
    nameless = {"campaign_name": None, "site_id": None, "extra": None}
    assert _shared(nameless, nameless | {"campaign_name": "A"}, reported=told) == 'campaign 10: name is known now: "A"'
    assert _shared(nameless, nameless | {"site_id": 5}, reported=told) == "campaign 10: site is known now: 5"
    assert _shared(None, {"site_domain_name": "a"}, "sites", reported=told).endswith("seen for the first time")
    assert _shared({"site_domain_name": "a"}, {"site_domain_name": "b"}, "sites") == 'site 10: renamed from "a" to "b"'


def test_hostile_names_stay_in_their_quotes() -> None:
    """Quotes, line ends and escapes of a name cannot end the name in a sentence."""
    pair = Pair(
        **{**asdict(_link("campaigns", 10)), "names": {**NAMES, "campaign_id": 'x" (1)\n7495 (2): removed\x1b[2J'}}
    )
    text = _sentence(pair)
    assert text == '7495 (1): added to campaign "x\\" (1)\\x0a7495 (2): removed\\x1b[2J" (10)'


def test_every_kind_has_its_words() -> None:
    """Every kind has words; none is shown by its code name."""
    assert TOTALS.keys() == set(Kind)
    assert total_words(Kind.RENAMED, "site block", 2) == "site blocks renamed"
    assert total_words(Kind.RENAMED, "site block", 1) == "site block renamed"
    assert {t.entity for t in TABLES if not t.per_number} == {"campaign", "site", "site block", "scenario"}
