"""Protocol case: a synced warehouse, a world that has changed since, and checks for any answer of the API."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import Engine

from etl.extract.credentials import Credentials
from etl.extract.jsonrpc import MINUTE_WAITS
from etl.extract.retry import TRIES
from etl.sandbox.rpc import Request
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import Rig
from tests.support.source_case import how_it_ends, one_customer


class PageLimit(TypedDict):
    """An option of `sync`, to be given as a keyword."""

    page_limit: int


SMALL: PageLimit = {"page_limit": 10}
"""Ten numbers in an answer: sixty numbers are eight windows."""


def synced(engine: Engine, numbers: int = 60, removed: int = 2, *, credentials: Credentials | None = None) -> Rig:
    """A warehouse of several pages, and a world with removed, edited and new numbers since the sync."""
    rig = Rig(one_customer(numbers), engine)
    assert rig.sync(credentials=credentials, **SMALL).exit_code == 0
    move_on(rig, removed)
    rig.api.requests.clear()
    return rig


def move_on(rig: Rig, removed: int = 2) -> None:
    """Make the changes that the next run must find."""
    before = rig.world.numbers(rig.only)
    for number in before[:removed]:
        rig.world.remove(rig.only, number)
    rig.world.edit(rig.only, before[-1], comment="since")
    rig.world.add(rig.only, 2)


def agency(engine: Engine, customers: int = 5) -> Rig:
    """An agent's warehouse, and a world in which one number of each customer was edited since the sync."""
    rig = Rig(World(seed=6, customers=[CustomerPlan(numbers=8)] * customers), engine)
    assert rig.sync().exit_code == 0
    for customer in rig.world.customer_ids:
        rig.world.edit(customer, rig.world.numbers(customer)[0], comment="since")
    rig.api.requests.clear()
    return rig


def is_proof(request: Request) -> bool:
    """Whether the request asks for numbers by their ids."""
    return "'operator': 'in'" in str(request.params.get("filter"))


def is_listing(request: Request) -> bool:
    """Whether the request asks for a window or a page."""
    return not is_proof(request)


def tables(rig: Rig) -> dict[int, oracle.Tables]:
    """The current tables of every customer."""
    return {account: oracle.current(rig.engine, account) for account in rig.world.customer_ids}


def open_ids(rig: Rig) -> set[int]:
    """The open numbers of the only customer."""
    return {row[0] for row in oracle.current(rig.engine, rig.only)["virtual_numbers"]}


def equals_truth(rig: Rig, *accounts: int) -> None:
    """Check that these customers, or all, equal the source, and that the history keeps its rules."""
    for account in accounts or rig.world.customer_ids:
        wanted = oracle.expected(rig.world.truth(account))
        assert not oracle.differences(oracle.current(rig.engine, account), wanted)
    assert oracle.broken_invariants(rig.engine) == []


def nothing_falsely_closed(rig: Rig) -> None:
    """Check that every number of the sixty that exists at the source and was open is open."""
    assert set(one_customer(60).numbers(rig.only)) & set(rig.world.numbers(rig.only)) <= open_ids(rig)


def no_number_closed(rig: Rig) -> None:
    """Check that every number that was ever in the warehouse is open."""
    closed = (
        "select count(*) from virtual_numbers_closed c where not exists"
        " (select 1 from virtual_numbers n where n.virtual_number_id = c.virtual_number_id)"
    )
    assert rig.rows(closed) == [(0,)]


def recovers(rig: Rig) -> None:
    """Check that the next clean run succeeds and equals the world."""
    rig.api.faults.clear()
    assert rig.sync(**SMALL).exit_code == 0
    equals_truth(rig)


def ends(rig: Rig, exit_code: int) -> str:
    """Run and check: this exit code, within bounds, unchanged data. Returns the error."""
    before, requests = oracle.current(rig.engine, rig.only), len(rig.api.requests)
    code, said = how_it_ends(rig.sync)
    assert code == exit_code, said
    assert len(rig.api.requests) - requests <= 2 + max(3 * TRIES, MINUTE_WAITS)
    assert oracle.current(rig.engine, rig.only) == before
    (last,) = rig.rows("select status, exit_code from sync_runs order by run_id desc limit 1")
    assert tuple(last) == ("failed", exit_code)
    return said
