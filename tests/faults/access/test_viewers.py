"""A02, A03: another key, login or user may see other numbers, and closes no number that it does not see."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine

from etl.domain.runs import RunStatus
from etl.errors import Misconfigured
from etl.extract.credentials import Credentials, Login, PermanentKey
from tests.support.vendor import (
    FORBIDDEN,
    INACTIVE,
    Method,
    Record,
    Vendor,
    Warehouse,
    agency,
    customer,
    number,
    numbers,
    own_account,
    user,
)

OLD, NEW = PermanentKey("the-key-of-the-first-user"), PermanentKey("the-key-of-another-user")
VIEWERS = "select listed_by_credential, listed_by_user_id from accounts"


def _seen_by(ids: dict[int, range]) -> Method:
    """A listing in which each user sees the ids of its entry; a user without an entry is refused."""

    def listing(params: Record) -> list[Record]:
        if params["user_id"] not in ids:
            raise FORBIDDEN
        return numbers(ids[params["user_id"]])

    return listing


def _agency(ids: dict[int, range], users: Sequence[int] = (511, 512)) -> Vendor:
    return agency([user(u, 51) for u in users], [customer(51, "Alpha")], _seen_by(ids))


# -- A02: credentials


@pytest.mark.parametrize("other", [NEW, Login("anna", "a password of hers")], ids=["key", "login"])
@pytest.mark.fault("A02")
def test_what_another_key_does_not_see_stays_open(warehouse: Engine, other: Credentials) -> None:
    """100 numbers through one key, 60 through another: 40 suspects, none closed, exit 3, also on later days."""
    sees = numbers(range(1, 101))
    vendor = own_account(lambda _: sees)
    vendor.sessions = "a session key"
    mine = Warehouse(warehouse)
    assert mine.sync(vendor, credentials=OLD).exit_code == 0
    before = mine.rows(VIEWERS)
    sees = sees[:60]
    for _ in range(2):
        result = mine.sync(vendor, credentials=other)
        (account,) = result.accounts
        assert (result.status, result.exit_code) == (RunStatus.PARTIAL, 3)
        assert (account.suspects, account.viewer_changed, account.rows_closed) == (40, True, 0)
        assert mine.rows(VIEWERS) == before
    assert len(mine.open_ids) == 100


@pytest.mark.fault("A02")
def test_an_approval_closes_and_adopts_the_new_key(warehouse: Engine) -> None:
    """With `--approve-close` the 40 are closed by their proof, and the new key becomes the account's."""
    sees = numbers(range(1, 101))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    old = mine.rows(VIEWERS)
    sees = sees[:60]
    assert mine.sync(vendor, credentials=NEW, approve_close=frozenset({51})).exit_code == 0
    assert mine.open_ids == list(range(1, 61))
    assert mine.rows(VIEWERS) != old
    sees = sees[:59]
    assert mine.sync(vendor, credentials=NEW).exit_code == 0
    assert len(mine.open_ids) == 59


@pytest.mark.fault("A02")
def test_a_key_that_sees_everything_is_adopted(warehouse: Engine) -> None:
    """A key is replaced by one with the same rights: exit 0, and a number removed later is closed as usual."""
    sees = numbers(range(1, 11))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    assert mine.sync(vendor, credentials=NEW).exit_code == 0
    sees = sees[:9]
    result = mine.sync(vendor, credentials=NEW)
    assert (result.exit_code, result.accounts[0].viewer_changed) == (0, False)
    assert mine.open_ids == list(range(1, 10))


@pytest.mark.fault("A02")
def test_the_old_key_again_is_no_change(warehouse: Engine) -> None:
    """The key that listed the account is used again: numbers that it no longer sees are gone, as it saw them before."""
    sees = numbers(range(1, 11))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    sees = sees[:8]
    assert mine.sync(vendor, credentials=NEW).exit_code == 3
    assert mine.sync(vendor, credentials=OLD).exit_code == 0
    assert len(mine.open_ids) == 8


@pytest.mark.fault("A02")
def test_an_old_key_that_sees_less_than_the_adopted_one_closes_nothing(warehouse: Engine) -> None:
    """Another key was adopted since, so numbers that the old one no longer sees are suspects."""
    sees = numbers(range(1, 11))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    assert mine.sync(vendor, credentials=NEW).exit_code == 0
    adopted = mine.rows(VIEWERS)
    sees = sees[:8]
    result = mine.sync(vendor, credentials=OLD)
    assert (result.exit_code, result.accounts[0].suspects, result.accounts[0].viewer_changed) == (3, 2, True)
    assert (len(mine.open_ids), mine.rows(VIEWERS)) == (10, adopted)


@pytest.mark.fault("A02")
def test_no_secret_is_kept(warehouse: Engine) -> None:
    """A salted digest of a key or login is stored; two warehouses have different digests of one key."""
    vendor, mine = own_account(lambda _: numbers([1])), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    ((name, user_id),) = mine.rows(VIEWERS)
    kind, salt, digest = name.split(":")
    assert (kind, len(salt), len(digest), user_id) == ("key", 16, 32, None)
    assert OLD.token not in name
    assert OLD.named([], mine.random) != name
    assert OLD.named([NEW.named([], mine.random), name], mine.random) == name
    login = Login("anna", "secret").named([name], mine.random)
    assert (login[:6], "anna" in login) == ("login:", False)
    assert Login("anna", "another").named([name, login], mine.random) == login


# -- A03: users


@pytest.mark.fault("A03")
def test_the_first_sync_lists_through_the_user_who_sees_most(warehouse: Engine) -> None:
    """Each user is asked once for `total_items` with `limit` 1; the listing uses the one with the most numbers."""
    vendor, mine = _agency({511: range(1, 5), 512: range(1, 9)}), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    asked = [(p["user_id"], p["limit"]) for p in vendor.asked("get.virtual_numbers")]
    assert asked == [(511, 1), (512, 1), (512, 10_000)]
    assert mine.open_ids == list(range(1, 9))
    assert mine.rows("select listed_by_user_id from accounts") == [(512,)]
    mine.sync(vendor)
    assert [p["user_id"] for p in vendor.asked("get.virtual_numbers")] == [512]


@pytest.mark.fault("A03")
def test_of_equals_the_lowest_id_and_at_most_ten_are_asked(warehouse: Engine) -> None:
    """Twelve users who see the same: ten are asked, and the first one lists."""
    users = list(range(511, 523))
    vendor, mine = _agency(dict.fromkeys(users, range(1, 4)), users), Warehouse(warehouse)
    mine.sync(vendor)
    asked = [p["user_id"] for p in vendor.asked("get.virtual_numbers")]
    assert asked == [*users[:10], 511]


@pytest.mark.fault("A03")
def test_a_user_who_is_refused_gives_way(warehouse: Engine) -> None:
    """The first user may not see numbers: the account is published through the second, exit 0."""
    vendor, mine = _agency({512: range(1, 3)}), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    assert mine.open_ids == [1, 2]


@pytest.mark.fault("A03")
def test_a_user_who_loses_the_right_gives_way_and_closes_nothing(warehouse: Engine) -> None:
    """The user of the last sync is refused, and the other sees less: it lists, and the missing numbers are suspects."""
    sees = {511: range(1, 9), 512: range(1, 5)}
    vendor, mine = _agency(sees), Warehouse(warehouse)
    mine.sync(vendor)
    del sees[511]
    (account,) = mine.sync(vendor).accounts
    assert (account.listed_by_user_id, account.suspects, account.viewer_changed) == (512, 4, True)
    assert len(mine.open_ids) == 8
    assert mine.rows("select listed_by_user_id from accounts") == [(511,)]


@pytest.mark.fault("A03")
def test_when_every_user_is_refused_the_refusal_is_the_accounts(warehouse: Engine) -> None:
    """No user may list: exit 77, and the line names method, user and right."""
    vendor, mine = _agency({}), Warehouse(warehouse)
    result = mine.sync(vendor)
    assert result.exit_code == 77
    assert "get.virtual_numbers is refused for user 511: forbidden" in str(result.error)
    assert 'give user 511 the right "number management: view"' in str(result.error)


@pytest.mark.fault("A03")
def test_what_concerns_the_customer_is_asked_once(warehouse: Engine) -> None:
    """An inactive customer is inactive for every user: no other one is tried."""

    def listing(_params: Record) -> list[Record]:
        raise INACTIVE

    vendor = agency([user(511, 51), user(512, 51)], [customer(51, "Alpha")], listing)
    Warehouse(warehouse).sync(vendor)
    assert len(vendor.asked("get.virtual_numbers")) == 1


@pytest.mark.fault("A03")
def test_the_settings_choose_a_user(warehouse: Engine) -> None:
    """A named user lists without any comparison; a user of another customer is a wrong setting."""
    vendor, mine = _agency({511: range(1, 9), 512: range(1, 5)}), Warehouse(warehouse)
    assert mine.sync(vendor, users={51: 512}).exit_code == 0
    assert [p["user_id"] for p in vendor.asked("get.virtual_numbers")] == [512]
    result = mine.sync(vendor, users={51: 599})
    assert result.exit_code == Misconfigured.exit_code
    assert "user 599 is not a user of customer 51" in str(result.error)


@pytest.mark.fault("A03")
def test_that_another_user_sees_more_is_told(warehouse: Engine) -> None:
    """Five weeks after the first comparison the other users are compared again; one that sees more is named."""
    sees = {511: range(1, 9), 512: range(1, 5)}
    vendor, mine = _agency(sees), Warehouse(warehouse)
    mine.sync(vendor)
    sees[512] = range(1, 20)
    told = []
    for _ in range(36):
        mine.sync(vendor)
        told += [n for n in mine.notices if "sees" in n]
    assert len(told) == 1
    assert "user 512 sees 19 numbers" in told[0]
    assert "user 511" in told[0]


@pytest.mark.fault("A02")
def test_a_number_of_other_eyes_is_not_lost_to_history(warehouse: Engine) -> None:
    """While the other key lists, changes of the numbers that it sees are recorded."""
    sees = [number(i) for i in range(1, 11)]
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    sees = [number(1, comment="new"), *sees[1:5]]
    mine.sync(vendor, credentials=NEW)
    assert mine.rows("select comment from virtual_numbers where virtual_number_id = 1") == [("new",)]


@pytest.mark.fault("A02")
def test_numbers_of_other_eyes_stay_open_when_the_old_key_is_back(warehouse: Engine) -> None:
    """Numbers that appeared through one key stay open while the other lists, until the other has listed them."""
    sees = {OLD: range(1, 101), NEW: range(41, 141)}
    key = OLD
    vendor, mine = own_account(lambda _: numbers(sees[key])), Warehouse(warehouse)
    assert mine.sync(vendor, credentials=OLD).exit_code == 0
    for key in (NEW, OLD, OLD, NEW, OLD):
        result = mine.sync(vendor, credentials=key)
        (account,) = result.accounts
        assert (result.exit_code, account.suspects, account.viewer_changed) == (3, 40, True)
        assert len(mine.open_ids) == 140
    sees[OLD] = range(1, 141)
    assert mine.sync(vendor, credentials=OLD).exit_code == 0
    sees[OLD] = range(1, 131)
    assert mine.sync(vendor, credentials=OLD).exit_code == 0
    assert mine.open_ids == list(range(1, 131))


@pytest.mark.fault("A02")
def test_what_the_old_key_published_itself_closes_as_ever(warehouse: Engine) -> None:
    """Numbers that the old key published itself close as usual; those of the other key stay open."""
    sees = {OLD: [1, 2, 3], NEW: [1, 2, 4]}
    key = OLD
    vendor, mine = own_account(lambda _: numbers(sees[key])), Warehouse(warehouse)
    mine.sync(vendor, credentials=OLD)
    key = NEW
    mine.sync(vendor, credentials=NEW)
    key, sees[OLD] = OLD, [1, 2, 3, 5, 6]
    mine.sync(vendor, credentials=OLD)
    sees[OLD] = [1, 2, 5]
    result = mine.sync(vendor, credentials=OLD)
    assert (result.exit_code, result.accounts[0].suspects) == (3, 1)
    assert mine.open_ids == [1, 2, 4, 5]


@pytest.mark.fault("A03")
def test_numbers_of_another_user_stay_open_when_the_first_is_back(warehouse: Engine) -> None:
    """A user is refused for a day, and another user sees other numbers: none of them is closed afterwards."""
    both = {511: range(1, 21), 512: range(11, 31)}
    sees = dict(both)
    vendor, mine = _agency(sees), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    del sees[511]
    assert mine.sync(vendor).exit_code == 3
    sees.update(both)
    result = mine.sync(vendor)
    assert (result.exit_code, result.accounts[0].listed_by_user_id, result.accounts[0].suspects) == (3, 511, 10)
    assert mine.open_ids == list(range(1, 31))
    assert mine.sync(vendor, approve_close=frozenset({51})).exit_code == 0
    assert mine.open_ids == list(range(1, 21))
    assert mine.sync(vendor).exit_code == 0
