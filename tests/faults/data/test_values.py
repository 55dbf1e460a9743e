"""D: unusual values in records: each is stored exactly on both databases, or the record is quarantined whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from etl.domain.text import original
from tests.support.data_case import DataCase

TEXTS = ("virtual_phone_number", "redirection_phone_number", "comment", "name")
ANY_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\x1b\r\u202e\ud800\udfff\u2400"), max_size=30)
FEW = settings(max_examples=4, deadline=None, database=None)


@pytest.fixture
def case(warehouse: Engine) -> DataCase:
    """One synced account."""
    return DataCase(warehouse)


@pytest.mark.fault("D01")
def test_null_missing_and_empty_stay_three_things(case: DataCase) -> None:
    """Null becomes null, empty becomes empty, and a field that is not sent keeps its known value."""
    one, two, three = case.numbers[:3]
    for number_id in (one, two, three):
        case.send(number_id, comment="known", name="known")
    case.ends(0)
    case.send(one, comment=None, name="known")
    case.send(two, comment="", name="known")
    case.leave_out(three, "comment", name="known")
    assert case.ends(0).changes["virtual_numbers"].opened == 2
    assert [case.stored(n).comment for n in (one, two, three)] == [None, "", "known"]
    case.is_quiet()
    case.honest()


@pytest.mark.fault("D01")
def test_null_anywhere(case: DataCase) -> None:
    """HY: null in any field: stored as null where the contract allows it, else the record is quarantined."""
    number_id = case.numbers[0]
    names = sorted(set(case.records[number_id]) - {"id"})

    @given(st.sets(st.sampled_from(names), min_size=1, max_size=4))
    @FEW
    def check(nulls: set[str]) -> None:
        before = case.image_of(number_id)
        case.send(number_id, **dict.fromkeys(nulls))
        unusable = bool(nulls & {"campaigns", "scenarios"})
        case.ends(3 if unusable else 0, quarantined=int(unusable))
        if unusable:
            assert case.image_of(number_id) == before
        else:
            assert [getattr(case.stored(number_id), name) for name in nulls] == [None] * len(nulls)

    check()
    case.honest()


@pytest.mark.fault("D02")
def test_unknown_enum_values_are_stored_as_sent_and_reported_once(case: DataCase) -> None:
    """Two numbers each, two runs, three fields: stored verbatim, and one line of the drift for each field and value."""
    values = ["brand_new", "", "АКТИВЕН", "x" * 5000]
    for number_id, value in zip(case.numbers, values * 2, strict=False):
        case.send(number_id, status=value, category=value, type=value)
    case.ends(0)
    case.is_quiet()
    for number_id, value in zip(case.numbers, values * 2, strict=False):
        row = case.stored(number_id)
        assert (row.status, row.category, row.type) == (value, value, value)
    paths = ("$.category", "$.status", "$.type")
    assert set(case.drift("unknown_value")) == {(path, value[:200]) for path in paths for value in values}
    assert len(case.drift("unknown_value")) == 12
    case.honest()


@pytest.mark.fault("D06")
def test_what_is_no_json_publishes_nothing(case: DataCase) -> None:
    """NaN and infinities are not JSON: the whole answer is refused, and all rows stay unchanged."""
    before = case.image()
    record = case.send(case.numbers[0])[:-1]
    for token in (b"NaN", b"Infinity", b"-Infinity"):
        case.send_raw(case.numbers[0], record + b', "new": ' + token + b"}")
        assert case.ends(65).observed_at is None
    assert case.image() == before
    case.honest()


@pytest.mark.parametrize("token", ["1e999", "-1e999", "1" + "0" * 5000], ids=["1e999", "-1e999", "5000 digits"])
@pytest.mark.fault("D06", "D07")
def test_numbers_beyond_any_column_are_kept_out(case: DataCase, token: str) -> None:
    """Such numbers become neither infinity nor null: the records are quarantined, and the numbers' rows stay."""
    names = ("id", "child_customer_id", "comment", "new")
    before = [case.image_of(number_id) for number_id in case.numbers]
    for number_id, name in zip(case.numbers, names, strict=False):
        record = {k: v for k, v in case.records[number_id].items() if k != name}
        case.send_raw(number_id, json.dumps(record).encode()[:-1] + f', "{name}": {token}}}'.encode())
    assert case.ends(3, quarantined=4).rows_closed == 0
    assert [case.image_of(number_id) for number_id in case.numbers] == before
    assert [row.virtual_number_id for row in case.quarantined()] == [*case.numbers[1:4], None]
    assert all(token in row.record and "out of range" in row.reason for row in case.quarantined())
    case.honest()


@pytest.mark.fault("D06")
def test_minus_zero_is_zero(case: DataCase) -> None:
    """-0, -0.0 and 0 are one number on both databases: another spelling makes no version."""
    number_id = case.numbers[0]
    record = case.send(number_id)[:-1]
    for spelling in (b"0", b"-0", b"-0.0", b"0.0", b"0e5"):
        case.send_raw(number_id, record + b', "new": ' + spelling + b"}")
        case.ends(0)
        assert case.extra(number_id) == {"new": 0}
    assert len(case.versions(number_id, "extra")) == 2
    case.honest()


EXACT = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -1, 2**53 + 1, 2**63 - 1, -(2**63)])
SPOILED_TABLES = (
    *(("virtual_number_campaigns", "virtual_number_site_blocks"),) * 2,
    ("virtual_numbers",),  # a block is refused alone, and the campaign may be another one now
    *(("virtual_number_scenarios",),) * 2,
)
"""Tables that do not change when the first, second, ... of these ids is too large."""
TOO_LARGE = st.integers(2**63, 2**70) | st.integers(-(2**70), -(2**63) - 1)


@pytest.mark.fault("D07")
def test_ids_of_64_bits_are_exact_and_larger_ones_kept_out(case: DataCase) -> None:
    """HY: a campaign's, site's, block's or rule's id is stored to the last digit, or the element is quarantined."""
    number_id = case.numbers[0]

    @given(ids=st.lists(EXACT, min_size=5, max_size=5), spoiled=st.none() | st.tuples(st.integers(0, 4), TOO_LARGE))
    @settings(FEW, max_examples=6)
    def check(ids: list[int], spoiled: tuple[int, int] | None) -> None:
        if spoiled:
            ids[spoiled[0]] = spoiled[1]
        campaign, site, block, scenario, rule = ids
        blocks = [{"site_block_id": block, "site_block_name": "b", "is_tracking": True}]
        of = {"campaign_id": campaign, "campaign_name": "c", "site_id": site, "site_domain_name": "d"}
        by = {"scenario_id": scenario, "scenario_name": "s", "call_processing_rule_id": rule, "is_active": None}
        case.send(number_id, campaigns=[of | {"site_blocks": blocks}], scenarios=[by])
        before = case.image_of(number_id)
        case.ends(3 if spoiled else 0, quarantined=int(spoiled is not None))
        if spoiled:
            for name in SPOILED_TABLES[spoiled[0]]:
                assert case.image_of(number_id)[name] == before[name]
            return
        columns, mine = "campaign_id, site_block_id", "where virtual_number_id = :n"
        link = case.rows(f"select {columns} from virtual_number_site_blocks {mine}", n=number_id)
        assert [tuple(row) for row in link] == [(campaign, block)]
        assert case.rows("select site_id from campaigns where campaign_id = :c", c=campaign) == [(site,)]
        columns = "scenario_id, call_processing_rule_id"
        rules = case.rows(f"select {columns} from virtual_number_scenarios {mine}", n=number_id)
        assert [tuple(row) for row in rules] == [(scenario, rule)]

    check()
    case.honest()


@pytest.mark.fault("D07")
def test_numbers_with_extreme_ids_live_and_go_like_any_other(case: DataCase) -> None:
    """An id of 0, below 0 or beyond a double: listed, stored, and closed by proof when it is removed."""
    ids = [0, -1, -(2**63), 2**53 + 1, 2**63 - 1]
    case.rig.world.customer(case.account)._insert(ids)
    case.ends(0)
    case.is_true()
    case.is_quiet()
    for number_id in ids:
        case.rig.world.remove(case.account, number_id)
    assert case.ends(0).changes["virtual_numbers"].closed == len(ids)
    closed = case.rows("select virtual_number_id from virtual_numbers_closed order by 1")
    assert [row[0] for row in closed] == sorted(ids)
    case.honest()


@pytest.mark.fault("D07")
def test_numbers_in_unknown_fields_are_the_same_on_both_databases(case: DataCase) -> None:
    """Numbers beyond 64 bits, too, are stored as sent, and reading them again makes no version."""
    values = [2**53 + 1, 2**63, -(2**64), 10**400, 0.1, 1e22, 5e-324, 1.5, -0.25, 10**300]
    for number_id, value in zip(case.numbers, values, strict=False):
        case.send(number_id, new={"of": [value]})
    case.send(case.numbers[9], new={"of": [1e300]})
    case.ends(0)
    for number_id, value in zip(case.numbers, values, strict=False):
        assert case.extra(number_id) == {"new": {"of": [value]}}
    case.is_quiet()
    case.honest()


@pytest.mark.fault("D08", "D09")
def test_any_text_comes_back_as_it_was_sent(case: DataCase) -> None:
    """HY: U+0000, lone surrogates and the mark itself, in values, names and keys: one reversible encoding."""
    campaign: dict[str, object] = {"campaign_id": 1, "site_id": None, "site_domain_name": None, "site_blocks": []}

    @given(st.lists(st.lists(ANY_TEXT, min_size=4, max_size=4), min_size=12, max_size=12))
    @FEW
    def check(texts: list[list[str]]) -> None:
        for n, four in zip(case.numbers, texts, strict=True):
            named = campaign | {"campaign_id": n, "campaign_name": four[0]}
            extra = {f"new {four[0]}": {four[1]: four[2]}}
            case.send(n, **dict(zip(TEXTS, four, strict=True)), **extra, campaigns=[named])
        case.ends(0)
        for n, four in zip(case.numbers, json.loads(json.dumps(texts)), strict=True):  # two surrogates may make a pair
            row = case.stored(n)
            assert [original(getattr(row, name)) for name in TEXTS] == four
            ((name, value),) = case.extra(n).items()
            ((key, inner),) = value.items()
            assert [original(text) for text in (name, key, inner)] == [f"new {four[0]}", *four[1:3]]
            names = case.rows("select campaign_name from campaigns where campaign_id = :c", c=n)
            assert original(names[0][0]) == four[0]
        case.is_quiet()

    check()
    case.honest()


@pytest.mark.fault("D08", "D09")
def test_the_encoding_is_the_documented_one(case: DataCase) -> None:
    """The same characters on both databases, so that a query works on both."""
    forms = {r"a\u0000b": "a␀0000b", r"\ud800": "␀d800", r"\udc00\ud800": "␀dc00␀d800", "␀": "␀2400"}
    for number_id, sent in zip(case.numbers, forms, strict=False):
        record = json.dumps(case.records[number_id] | {"comment": "COMMENT"}, ensure_ascii=False)
        case.send_raw(number_id, record.replace("COMMENT", sent).encode())
    case.ends(0)
    assert [case.stored(n).comment for n in case.numbers[:4]] == list(forms.values())
    case.honest()


NAUGHTY = {
    "bidi": "‮reversed‬ ⁦a⁩",
    "zero width": "a\u200bb\u200d\ufeff",
    "combining": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "NFC": "caf\u00e9",
    "NFD": "cafe\u0301",
    "Arabic digits": "٧٤٩٥",
    "fullwidth": "７４９５",
    "homoglyph": "аctive",
    "emoji": "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "controls": "\x01\x07\x1b[31m\x7f\x85",
    "lines": "a\r\nb\u2028c\u2029d\x0b",
    "SQL": "'; drop table virtual_numbers; --",
    "formula": "=cmd|' /C calc'!A0",
    "COPY": "\\N \\. \\x00 \t",
    "spaces": "  a  ",
    "null": "null",
    "percent": "%s %(a)s {} :a",
}


@pytest.mark.fault("D10")
def test_naughty_strings_are_stored_to_the_byte(case: DataCase) -> None:
    """No normalization, no trimming, no escaping: composed and decomposed forms are two values."""
    for number_id, texts in zip(case.numbers, _pairs(list(NAUGHTY.values())), strict=False):
        case.send(number_id, name=texts[0], comment=texts[1], virtual_phone_number=texts[0], **{texts[1]: texts[0]})
    case.ends(0)
    for number_id, texts in zip(case.numbers, _pairs(list(NAUGHTY.values())), strict=False):
        row = case.stored(number_id)
        assert (row.name, row.comment, row.virtual_phone_number) == (texts[0], texts[1], texts[0])
        assert case.extra(number_id) == {texts[1]: texts[0]}
    case.is_quiet()
    case.send(case.numbers[0], comment=NAUGHTY["NFC"])
    case.ends(0)
    case.send(case.numbers[0], comment=NAUGHTY["NFD"])
    assert case.ends(0).changes["virtual_numbers"].opened == 1
    case.honest()


def _pairs(items: list[str]) -> list[tuple[str, str]]:
    return list(zip(items[::2], items[1::2], strict=True))


IMPOSSIBLE = ["2026-02-30 00:00:00", "0000-00-00 00:00:00", "2026-01-01 24:00:00", "9999-12-31 23:59:59",
              "2026-01-01 00:00:60", "2026-1-1 0:0:0", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "",
              "٢٠٢٦-٠١-٠١ ٠٠:٠٠:٠٠"]  # fmt: skip


@pytest.mark.fault("D16")
def test_a_date_that_is_none_is_kept_out(warehouse: Engine) -> None:
    """Each such record is quarantined with the place and the reason; its number's rows do not change."""
    case = DataCase(warehouse, size=2 * len(IMPOSSIBLE))
    before = [case.image_of(number_id) for number_id in case.numbers]
    records = [case.send(n, activation_date=sent) for n, sent in zip(case.numbers, IMPOSSIBLE, strict=False)]
    case.ends(3, quarantined=len(IMPOSSIBLE))
    found = case.quarantined()
    assert [row.record for row in found] == [record.decode() for record in records]
    assert [row.reason for row in found] == [f"not a date and time: {sent!r}" for sent in IMPOSSIBLE]
    assert {row.path for row in found} == {"$.activation_date"}
    assert [row.virtual_number_id for row in found] == case.numbers[: len(IMPOSSIBLE)]
    assert [case.image_of(number_id) for number_id in case.numbers] == before
    case.honest()


@pytest.mark.fault("D17")
def test_local_times_are_stored_as_given_beside_the_zone(warehouse: Engine) -> None:
    """London skips one of the times and has the other twice: both are stored as sent; the zone is the account's."""
    case = DataCase(warehouse, timezone="Europe/London")
    skipped, twice = "2026-03-29 01:30:00", "2026-10-25 01:30:00"
    case.send(case.numbers[0], activation_date=skipped)
    case.send(case.numbers[1], activation_date=twice)
    case.ends(0)
    assert [case.stored(n).activation_date for n in case.numbers[:2]] == [skipped, twice]
    assert case.rows("select timezone from accounts") == [("Europe/London",)]
    case.honest()


@pytest.mark.fault("D18")
def test_phones_are_text_to_the_character(case: DataCase) -> None:
    """HY: leading zeros, a plus, spaces, twenty digits: phone numbers are never read as numbers."""
    phones = st.from_regex(r"[+0]?[0-9 ()\-]{0,20}", fullmatch=True) | st.sampled_from(
        ["007", "+7 (495)", "1e5", "0" * 20]
    )

    @given(st.lists(phones, min_size=12, max_size=12))
    @FEW
    def check(texts: list[str]) -> None:
        for number_id, phone in zip(case.numbers, texts, strict=True):
            case.send(number_id, virtual_phone_number=phone, redirection_phone_number=phone[::-1])
        case.ends(0)
        for number_id, phone in zip(case.numbers, texts, strict=True):
            row = case.stored(number_id)
            assert (row.virtual_phone_number, row.redirection_phone_number) == (phone, phone[::-1])

    check()
    case.honest()
