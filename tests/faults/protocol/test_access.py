"""P05-P07: keys that become invalid at any page, refused addresses and customers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from etl.domain.runs import AccountStatus
from etl.extract.credentials import Login
from etl.sandbox.faults import (
    LISTING,
    error,
)
from tests.support.protocol_case import (
    SMALL,
    agency,
    equals_truth,
    is_proof,
    move_on,
    no_number_closed,
    recovers,
    synced,
    tables,
)
from tests.support.raw_server import serving
from tests.support.source_case import check_line, how_it_ends, sqlite_case

TOKEN_ERRORS = ["access_token_expired", "access_token_blocked", "access_token_invalid", "auth_error"]


def _requests(engine: Engine) -> int:
    """The count of listing requests, with the proof, of an undisturbed run."""
    rig = synced(engine)
    rig.sync(**SMALL)
    return rig.api.count(LISTING)


@pytest.mark.parametrize("mnemonic", TOKEN_ERRORS[:2])
@pytest.mark.fault("P05")
def test_at_every_page(new_warehouse: Callable[[], Engine], mnemonic: str) -> None:
    """A permanent key that expires at any page: exit 77, nothing published. At the proof: published, nothing closed."""
    pages = _requests(new_warehouse())
    assert pages >= 7
    rig = synced(new_warehouse())
    before = tables(rig)
    for page in range(1, pages):
        rig.api.faults.add(error(mnemonic), at=page, times=None)
        code, said = how_it_ends(lambda: rig.sync(**SMALL))
        assert (code, mnemonic in said) == (77, True), page
        assert tables(rig) == before
        rig.api.faults.clear()
    rig.api.faults.add(error(mnemonic), times=None, when=is_proof)
    result = rig.sync(**SMALL)
    assert (result.exit_code, result.accounts[0].suspects) == (3, 2)
    no_number_closed(rig)
    recovers(rig)


@pytest.mark.parametrize("mnemonic", TOKEN_ERRORS[:3:2])
@pytest.mark.fault("P05")
def test_a_session_is_renewed_at_every_page(new_warehouse: Callable[[], Engine], mnemonic: str) -> None:
    """With a session key the login is repeated once, and the run succeeds."""
    login = Login("sandbox", "sandbox-password")
    pages = _requests(new_warehouse())
    rig = synced(new_warehouse(), credentials=login)
    for page in range(1, pages + 1):
        rig.api.requests.clear()
        rig.api.faults.add(error(mnemonic), at=page, times=1)
        assert rig.sync(credentials=login, **SMALL).exit_code == 0
        assert rig.api.count("login.user") == 2
        rig.api.faults.clear()
        equals_truth(rig)
        move_on(rig)


@pytest.mark.parametrize("mnemonic", TOKEN_ERRORS)
@pytest.mark.fault("P05")
def test_a_session_that_stays_invalid(warehouse: Engine, mnemonic: str) -> None:
    """Renewed once, and refused again: exit 77 after at most two logins."""
    rig = synced(warehouse)
    before = tables(rig)
    rig.api.faults.add(error(mnemonic), times=None)
    code, _ = how_it_ends(lambda: rig.sync(credentials=Login("sandbox", "sandbox-password"), **SMALL))
    assert code == 77
    assert rig.api.count("login.user") <= 2
    assert tables(rig) == before
    recovers(rig)


@pytest.mark.fault("P05")
def test_a_wrong_password_is_tried_once(warehouse: Engine) -> None:
    """Repeating a wrong password may lock the account: one try, exit 77, and the line says what to check."""
    rig = synced(warehouse)
    code, said = how_it_ends(lambda: rig.sync(credentials=Login("sandbox", "wrong")))
    assert (code, rig.api.count("login.user")) == (77, 1)
    assert "Check login and password" in said
    recovers(rig)


@pytest.mark.fault("P05")
def test_a_dead_key_is_not_tried_on_every_customer(warehouse: Engine) -> None:
    """A blocked key is blocked for all customers: the others are not tried, and nothing is closed."""
    rig = agency(warehouse)
    rig.api.faults.add(error("access_token_blocked"), at=3, times=None)
    result = rig.sync()
    statuses = [account.status for account in result.accounts]
    assert statuses == [AccountStatus.SUCCEEDED] * 2 + [AccountStatus.FAILED] * 3
    assert (result.exit_code, rig.api.count(LISTING)) == (77, 3)
    recovers(rig)


# -- P06, P07


@pytest.mark.fault("P06")
def test_the_address_and_where_to_put_it(tmp_path: Path, sqlite_template: Path) -> None:
    """Exit 77 names the address that the API saw, and the place to add it."""
    with serving() as server:
        case = sqlite_case(tmp_path, sqlite_template, server)
        assert server.api
        server.api.faults.add(error("ip_not_whitelisted"), times=None, method=None)
        check_line(case.command(), 77, "ip_not_whitelisted", "203.0.113.7", "whitelist", "not its agent's", "(run ")
        case.check_untouched(77)
        server.api.faults.clear()
        case.check_recovers()


REFUSALS = [
    "forbidden", "ip_not_whitelisted", "method_component_disabled", "parameter_component_disabled", "account_inactive",
]  # fmt: skip


@pytest.mark.parametrize("mnemonic", REFUSALS)
@pytest.mark.fault("P07")
def test_one_customer_of_five(warehouse: Engine, mnemonic: str) -> None:
    """The refused customer is skipped with its reason and keeps its rows; the four others are published: exit 3."""
    rig = agency(warehouse)
    refused, *others = rig.world.customer_ids
    before = tables(rig)[refused]
    rig.world.block(refused, mnemonic)
    result = rig.sync()
    assert (result.exit_code, [a.status for a in result.accounts].count(AccountStatus.SUCCEEDED)) == (3, 4)
    assert mnemonic in (result.accounts[0].error or "")
    assert tables(rig)[refused] == before
    equals_truth(rig, *others)
    rig.world.unblock(refused)
    recovers(rig)


@pytest.mark.fault("P07")
def test_all_of_five(warehouse: Engine) -> None:
    """If every customer is refused, nothing is published: exit 77."""
    rig = agency(warehouse)
    before = tables(rig)
    for customer in rig.world.customer_ids:
        rig.world.block(customer, "forbidden")
    assert rig.sync().exit_code == 77
    assert tables(rig) == before
