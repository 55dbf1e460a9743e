"""A synced warehouse whose world has moved on, and what must hold of it whatever the API says."""

from __future__ import annotations

from sqlalchemy import Engine

from etl.extract.credentials import Credentials
from etl.extract.jsonrpc import MINUTE_WAITS
from etl.extract.retry import TRIES
from etl.sandbox.rpc import Request
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import Rig
from tests.support.source_case import how_it_ends, one_customer

SMALL = {"page_limit": 10}
"""Ten numbers an answer: sixty numbers are eight windows."""


def synced(engine: Engine, numbers: int = 60, removed: int = 2, *, credentials: Credentials | None = None) -> Rig:
    """A warehouse of several pages, and a world in which some numbers are gone, one edited, two new since."""
    rig = Rig(one_customer(numbers), engine)
    assert rig.sync(credentials=credentials, **SMALL).exit_code == 0
    move_on(rig, removed)
    rig.api.requests.clear()
    return rig


def move_on(rig: Rig, removed: int = 2) -> None:
    """What the next run has to find."""
    before = rig.world.numbers(rig.only)
    for number in before[:removed]:
        rig.world.remove(rig.only, number)
    rig.world.edit(rig.only, before[-1], comment="since")
    rig.world.add(rig.only, 2)


def agency(engine: Engine, customers: int = 5) -> Rig:
    """An agent's warehouse, in which one number of each customer was edited since."""
    rig = Rig(World(seed=6, customers=[CustomerPlan(numbers=8)] * customers), engine)
    assert rig.sync().exit_code == 0
    for customer in rig.world.customer_ids:
        rig.world.edit(customer, rig.world.numbers(customer)[0], comment="since")
    rig.api.requests.clear()
    return rig


def is_proof(request: Request) -> bool:
    """Whether it asks for numbers by their ids."""
    return "'operator': 'in'" in str(request.params.get("filter"))


def is_listing(request: Request) -> bool:
    """Whether it asks for a window or a page."""
    return not is_proof(request)


def tables(rig: Rig) -> dict[int, oracle.Tables]:
    """The current tables of every customer."""
    return {account: oracle.current(rig.engine, account) for account in rig.world.customer_ids}


def open_ids(rig: Rig) -> set[int]:
    """The one customer's numbers that are open."""
    return {row[0] for row in oracle.current(rig.engine, rig.only)["virtual_numbers"]}


def equals_truth(rig: Rig, *accounts: int) -> None:
    """These customers, or all, are in the warehouse what they are at the source, and the history is sound."""
    for account in accounts or rig.world.customer_ids:
        wanted = oracle.expected(rig.world.truth(account))
        assert not oracle.differences(oracle.current(rig.engine, account), wanted)
    assert oracle.broken_invariants(rig.engine) == []


def nothing_falsely_closed(rig: Rig) -> None:
    """Of sixty numbers, whatever lives at the source and was open is open."""
    assert set(one_customer(60).numbers(rig.only)) & set(rig.world.numbers(rig.only)) <= open_ids(rig)


def no_number_closed(rig: Rig) -> None:
    """Every number that ever was in the warehouse is open."""
    closed = (
        "select count(*) from virtual_numbers_closed c where not exists"
        " (select 1 from virtual_numbers n where n.virtual_number_id = c.virtual_number_id)"
    )
    assert rig.rows(closed) == [(0,)]


def recovers(rig: Rig) -> None:
    """The next clean run ends well and equals the world."""
    rig.api.faults.clear()
    assert rig.sync(**SMALL).exit_code == 0
    equals_truth(rig)


def ends(rig: Rig, exit_code: int) -> str:
    """Run: it ends so, within bounds, and leaves the data as they were. The error."""
    before, requests = oracle.current(rig.engine, rig.only), len(rig.api.requests)
    code, said = how_it_ends(rig.sync)
    assert code == exit_code, said
    assert len(rig.api.requests) - requests <= 2 + max(3 * TRIES, MINUTE_WAITS)
    assert oracle.current(rig.engine, rig.only) == before
    (last,) = rig.rows("select status, exit_code from sync_runs order by run_id desc limit 1")
    assert tuple(last) == ("failed", exit_code)
    return said
