"""Descriptions of many accounts: side by side, and none is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from threading import Barrier
from typing import Any

import msgspec
import pytest

from etl.errors import TryLater
from etl.extract.accounts import Account
from etl.extract.answers import Result
from etl.sync.describe_all import describe_all
from tests.support.rig import FakeClock


class _Api:
    """A source that answers `get.account` when as many requests as `together` are under way."""

    def __init__(self, together: int, refuses: int | None = None) -> None:
        self._barrier, self._refuses = Barrier(together), refuses
        self.abandoned = False

    @contextlib.contextmanager
    def for_thread(self, **_: Any) -> Iterator[_Api]:
        yield self

    def abandon(self) -> None:
        self.abandoned = True

    def call(self, _method: str, params: dict[str, Any]) -> Result:
        if params["user_id"] == self._refuses:
            raise TryLater("the points are used up")
        self._barrier.wait(timeout=20)
        account_id = params["user_id"] // 10
        return Result(msgspec.Raw(b'[{"app_id": %d, "name": "A%d", "timezone": "UTC"}]' % (account_id, account_id)))


def _described(api: _Api, accounts: int, at_once: int) -> dict[int, str | None]:
    asked = [Account(account_id=i, user_ids=(10 * i, 10 * i + 1)) for i in range(1, accounts + 1)]
    source: Any = api  # it stands in for a DataApi
    found = describe_all(source, asked, at_once=at_once, clock=FakeClock(), report=lambda _: None)
    return {account_id: description.name for account_id, description in found.items()}


@pytest.mark.parametrize(("accounts", "at_once"), [(1, 1), (8, 4), (3, 3)])
def test_as_many_are_asked_at_once_as_allowed(accounts: int, at_once: int) -> None:
    """Each answer comes only when that many requests are under way; every account has its own description."""
    assert _described(_Api(at_once), accounts, at_once) == {i: f"A{i}" for i in range(1, accounts + 1)}


def test_nobody_is_asked_without_accounts() -> None:
    """No account, no request."""
    assert _described(_Api(1), 0, 4) == {}


def test_more_threads_than_accounts_are_not_started() -> None:
    """Two accounts are asked by two threads, whatever is allowed."""
    assert _described(_Api(2), 2, 32) == {1: "A1", 2: "A2"}


def test_an_error_of_all_requests_ends_the_others() -> None:
    """It is raised, and requests that are under way are broken off."""
    api = _Api(1, refuses=20)
    with pytest.raises(TryLater, match="the points are used up"):
        _described(api, 4, 1)
