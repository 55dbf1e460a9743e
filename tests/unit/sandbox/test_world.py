"""The world: deterministic, realistic, unsorted, and changed only on request."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from etl.sandbox.records import CATEGORIES, STATUSES, TYPES
from etl.sandbox.world import CustomerPlan, World

NEWER = [
    "id", "child_customer_id", "virtual_phone_number", "redirection_phone_number", "activation_date", "status",
    "category", "type", "comment", "name", "campaigns", "scenarios",
]  # fmt: skip


def small(**options: Any) -> tuple[World, int]:
    """A world of one customer with sixty numbers, and the customer's id."""
    made = World(seed=3, customers=[CustomerPlan(numbers=60)], **options)
    return made, made.customer_ids[0]


def several_days(seed: int) -> bytes:
    """The bytes of a world after three days."""
    made = World(seed=seed, customers=[CustomerPlan(numbers=300), CustomerPlan(numbers=50)], id_step=5)
    changes = [msgspec.json.encode(made.pass_day(0.2)) for _ in range(3)]
    return b"".join([*changes, *(msgspec.json.encode(made.truth(c)) for c in made.customer_ids)])


def test_same_seed_same_bytes() -> None:
    """The same seed gives the same records and the same changes over days; another seed gives others."""
    assert several_days(11) == several_days(11)
    assert several_days(11) != several_days(12)


def test_customers_do_not_depend_on_later_ones() -> None:
    """A customer's records stay the same when another customer is added behind it."""
    plan = CustomerPlan(numbers=30)
    alone, together = World(1, [plan]), World(1, [plan, CustomerPlan(numbers=70)])
    assert alone.truth(alone.customer_ids[0]) == together.truth(together.customer_ids[0])


def test_records_look_like_the_vendors() -> None:
    """Records have the newer edition's fields in order, digits for phones, known enum values, dates without zone."""
    made = World(seed=5, customers=[CustomerPlan(numbers=2000)])
    truth = made.truth(made.customer_ids[0])
    assert all(list(record) == NEWER for record in truth)
    assert all(r["virtual_phone_number"].isdecimal() and len(r["virtual_phone_number"]) == 11 for r in truth)
    assert len({r["virtual_phone_number"] for r in truth}) == 2000
    assert {r["status"] for r in truth} == set(STATUSES)
    assert {r["category"] for r in truth} == set(CATEGORIES)
    assert {r["type"] for r in truth} == set(TYPES)
    assert sum(r["status"] == "active" for r in truth) > 1700
    assert {len(r["campaigns"]) for r in truth} == {0, 1, 2, 3}
    assert {len(r["scenarios"]) for r in truth} == {0, 1, 2}
    assert {len(c["site_blocks"]) for r in truth for c in r["campaigns"]} == {0, 1, 2, 3}
    for field in ("redirection_phone_number", "activation_date", "comment", "name"):
        assert {r[field] is None for r in truth} == {True, False}
    assert any("а" <= letter <= "я" for r in truth for c in r["campaigns"] for letter in c["campaign_name"])


def test_shared_objects_have_one_shape() -> None:
    """A campaign has one name and one site in all records, a block one site, a number each campaign once."""
    made = World(seed=5, customers=[CustomerPlan(numbers=2000)])
    truth = made.truth(made.customer_ids[0])
    links = [campaign for record in truth for campaign in record["campaigns"]]
    campaigns = {(c["campaign_id"], c["campaign_name"], c["site_id"], c["site_domain_name"]) for c in links}
    blocks = {(b["site_block_id"], c["site_id"]) for c in links for b in c["site_blocks"]}
    assert (
        len(campaigns) == len({c["campaign_id"] for c in links}) <= len(made.campaign_ids(made.customer_ids[0])) == 80
    )
    assert len(blocks) == len({block_id for block_id, _ in blocks})
    assert all(len({c["campaign_id"] for c in r["campaigns"]}) == len(r["campaigns"]) for r in truth)
    assert len(made.site_ids(made.customer_ids[0])) == 20
    assert len(made.block_ids(made.customer_ids[0])) == 160
    assert len(made.scenario_ids(made.customer_ids[0])) == 40


def test_customers_have_names_zones_and_users() -> None:
    """A name, an IANA time zone and one user are generated where the plan gives none, and kept where it does."""
    made = World(seed=2, customers=[CustomerPlan(), CustomerPlan(name="Acme", timezone="Europe/London", users=3)])
    first, second = (made.customer(customer_id) for customer_id in made.customer_ids)
    assert first.name
    assert ZoneInfo(first.timezone)
    assert (second.name, second.timezone) == ("Acme", "Europe/London")
    assert [len(made.user_ids(c)) for c in made.customer_ids] == [1, 3]
    assert made.customer_of(second.user_ids[1]) is second
    assert made.customer_of(1) is None


@pytest.mark.parametrize(("id_step", "low", "high"), [(1, 1.0, 1.0), (37, 30.0, 44.0)])
def test_ids_are_dense_or_sparse(id_step: int, low: float, high: float) -> None:
    """The mean gap between ids is about `id_step`; no id occurs twice in a world."""
    made = World(seed=4, customers=[CustomerPlan(numbers=500), CustomerPlan(numbers=500)], id_step=id_step)
    ids = sorted(i for c in made.customer_ids for i in made.numbers(c))
    assert len(set(ids)) == 1000
    assert low <= (ids[-1] - ids[0]) / 999 <= high


def test_heap_is_unsorted_and_complete() -> None:
    """The first order is not that of the ids, and nothing is lost in it."""
    made = World(seed=4, customers=[CustomerPlan(numbers=1500)])
    ids = made.numbers(made.customer_ids[0])
    assert ids != sorted(ids)
    assert [r["id"] for r in made.truth(made.customer_ids[0])] == ids


def test_edit_moves_to_the_end() -> None:
    """An edited row shows its new values and is the last of the heap; the others keep their order."""
    made, customer = small()
    before = made.numbers(customer)
    made.edit(customer, before[3], status="cleaning", comment=None)
    assert made.numbers(customer) == [*before[:3], *before[4:], before[3]]
    assert (made.truth(customer)[-1]["status"], made.truth(customer)[-1]["comment"]) == ("cleaning", None)


def test_edit_replaces_raw_fields() -> None:
    """A field may get any JSON value, in its place; a name that records do not have is added at the end."""
    made, customer = small()
    number = made.numbers(customer)[0]
    made.edit(customer, number, status=5, id=str(number), campaigns=None, flavour={"a": [1]})
    record = made.truth(customer)[-1]
    assert list(record) == [*NEWER, "flavour"]
    assert (record["status"], record["id"], record["campaigns"]) == (5, str(number), None)
    made.move(customer, number, None)
    assert made.truth(customer)[-1]["campaigns"] == []


def test_add_and_remove() -> None:
    """New numbers are at the end with ids above all others; a removed number is gone, and its id not used again."""
    made, customer = small()
    top = max(made.numbers(customer))
    added = made.add(customer, 3)
    assert min(added) > top
    assert made.numbers(customer)[-3:] == added
    made.remove(customer, added[-1])
    assert added[-1] not in made.customer(customer)
    assert made.add(customer) == [added[-1] + 1]


def test_move_changes_the_campaign() -> None:
    """A moved number is in the one campaign that was named, or in none, at the end of the heap."""
    made, customer = small()
    number, campaign = made.numbers(customer)[0], made.campaign_ids(customer)[1]
    made.move(customer, number, campaign)
    assert made.numbers(customer)[-1] == number
    assert [c["campaign_id"] for c in made.truth(customer)[-1]["campaigns"]] == [campaign]
    made.move(customer, number, None)
    assert made.truth(customer)[-1]["campaigns"] == []


def test_renames_show_in_all_records() -> None:
    """A rename changes every record that refers to the thing, nothing else, and moves no row."""
    made, customer = small()
    before, order = made.truth(customer), made.numbers(customer)
    link = next(c for r in before for c in r["campaigns"] if c["site_blocks"])
    scenario = next(s for r in before for s in r["scenarios"])
    names = {
        link["campaign_name"]: "Новое имя",
        link["site_domain_name"]: "new.example",
        link["site_blocks"][0]["site_block_name"]: "Block Ω",
        scenario["scenario_name"]: "Voicemail",
    }
    made.rename_campaign(customer, link["campaign_id"], "Новое имя")
    made.rename_site(customer, link["site_id"], "new.example")
    made.rename_block(customer, link["site_blocks"][0]["site_block_id"], "Block Ω")
    made.rename_scenario(customer, scenario["scenario_id"], "Voicemail")
    expected = msgspec.json.encode(before).decode()
    for old, new in names.items():
        expected = expected.replace(f'"{old}"', f'"{new}"')
    assert made.truth(customer) == msgspec.json.decode(expected)
    assert made.numbers(customer) == order


def test_switch_rule() -> None:
    """A switched rule changes is_active of the number's first scenario alone, and moves no row."""
    made, customer = small()
    truth = made.truth(customer)
    index = next(n for n, r in enumerate(truth) if r["scenarios"])
    made.switch_rule(customer, truth[index]["id"], not truth[index]["scenarios"][0]["is_active"])
    truth[index]["scenarios"][0]["is_active"] ^= True
    assert made.truth(customer) == truth
    bare = next(r["id"] for r in truth if not r["scenarios"])
    made.switch_rule(customer, bare, True)
    assert made.truth(customer) == truth


def test_raw_records_are_served_as_given() -> None:
    """Raw bytes replace a record until they are cleared, for one number or for all."""
    made, customer = small()
    truth, number = made.truth(customer), made.numbers(customer)[2]
    made.put_raw(customer, number, b'{"id":1e999}')
    rows = made.customer(customer).rows()
    assert made.customer(customer).encode(rows, "newer")[2] == b'{"id":1e999}'
    assert made.customer(customer).encode(rows, "newer", ("id",))[2] == b'{"id":1e999}'
    made.clear_raw(customer, number)
    assert made.truth(customer) == truth
    made.put_raw(customer, number, b"{}")
    made.clear_raw(customer)
    assert made.truth(customer) == truth


def test_older_edition_leaves_out_what_it_does_not_know() -> None:
    """Switching the edition takes away exactly the newer fields, at once and back again."""
    made, customer = small()
    newer = made.truth(customer)
    made.edition = "older"
    for record in (expected := msgspec.json.decode(msgspec.json.encode(newer))):
        for field in ("child_customer_id", "comment", "name"):
            del record[field]
        for scenario in record["scenarios"]:
            del scenario["call_processing_rule_id"], scenario["is_active"]
    assert made.truth(customer) == expected
    made.edition = "newer"
    assert made.truth(customer) == newer


def test_child_customer_depends_on_the_role() -> None:
    """Records name the customer under an agent's token, and null under a customer's own."""
    agent, customer = small()
    assert {r["child_customer_id"] for r in agent.truth(customer)} == {customer}
    own, customer = small(role="customer")
    assert {r["child_customer_id"] for r in own.truth(customer)} == {None}


def test_customer_role_has_one_customer() -> None:
    """A customer's own world cannot have two customers."""
    with pytest.raises(ValueError, match="exactly one"):
        World(1, [CustomerPlan(), CustomerPlan()], role="customer")


def test_a_day_changes_what_it_says() -> None:
    """The counts of a day are the differences between the records before and after it."""
    made = World(seed=8, customers=[CustomerPlan(numbers=1000)])
    customer = made.customer_ids[0]
    before = {r["id"]: r for r in made.truth(customer)}
    changes = made.pass_day(0.2)
    after = {r["id"]: r for r in made.truth(customer)}
    both = before.keys() & after.keys()
    assert len(after.keys() - before.keys()) == changes.added > 0
    assert len(before.keys() - after.keys()) == changes.removed > 0
    scalars = [n for n in both if any(before[n][f] != after[n][f] for f in ("status", "comment", "name"))]
    assert len(scalars) == changes.edited + changes.locked
    moved = [n for n in both if _ids(before[n]) != _ids(after[n])]
    assert len(moved) <= changes.moved
    assert len(moved) > changes.moved * 0.8
    switched = [n for n in both if _active(before[n]) != _active(after[n])]
    assert len(switched) == changes.rules_switched > 0
    assert changes.renamed_campaigns > 0
    assert changes.renamed_blocks > 0
    assert changes.renamed_scenarios > 0
    assert changes.total == sum(getattr(changes, f) for f in changes.__struct_fields__)


def test_days_suit_empty_customers() -> None:
    """A day passes at a customer without numbers, and at one whose numbers all change."""
    made = World(seed=8, customers=[CustomerPlan(numbers=0), CustomerPlan(numbers=2, campaigns=1)])
    for _ in range(30):
        made.pass_day(1.0)
    assert made.numbers(made.customer_ids[0]) == []
    assert made.today.isoformat(" ") == "2026-01-31 09:00:00"


def test_unknown_things_are_key_errors(world: World) -> None:
    """An id that does not exist is a KeyError, whatever is to be done with it."""
    customer = world.customer_ids[0]
    for act in (
        lambda: world.numbers(1),
        lambda: world.edit(customer, 1, status="active"),
        lambda: world.remove(customer, 1),
        lambda: world.move(customer, world.numbers(customer)[0], 1),
        lambda: world.rename_campaign(customer, 1, "x"),
        lambda: world.put_raw(customer, 1, b"{}"),
        lambda: world.hide(1, []),
        lambda: world.block(1),
    ):
        with pytest.raises(KeyError):
            act()


def _ids(record: dict[str, Any]) -> set[int]:
    return {c["campaign_id"] for c in record["campaigns"]}


def _active(record: dict[str, Any]) -> list[bool]:
    return [s["is_active"] for s in record["scenarios"]]
