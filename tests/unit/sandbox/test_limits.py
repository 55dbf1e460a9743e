"""Points: which calls cost one, when they are used up, and when they are renewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etl.sandbox.world import World

LISTING = "get.virtual_numbers"


@pytest.fixture
def limited(world: World, call_api: Callable[..., Any]) -> Any:
    """A caller with three points a minute and five a day."""
    return call_api(world, minute_limit=3, day_limit=5)


def test_no_limits_no_metadata(caller: Any) -> None:
    """Where no limit applies, metadata has no `limits`."""
    assert caller.result(LISTING, user_id=caller.user())["metadata"] == {"total_items": 60}
    assert caller.error(LISTING)["metadata"] == {}


def test_limits_in_metadata(limited: Any, clock: Any) -> None:
    """Metadata counts down after each successful call, and says in how many seconds the count starts anew."""
    clock.seconds += 15.5
    limits = limited.result(LISTING, user_id=limited.user())["metadata"]["limits"]
    assert limits == {
        "day_limit": 5, "day_remaining": 4, "day_reset": 86_385, "minute_limit": 3, "minute_remaining": 2,
        "minute_reset": 45,
    }  # fmt: skip
    assert limited.result("get.account")["metadata"]["limits"]["minute_remaining"] == 1


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"minute_limit": 9}, {"minute_limit", "minute_remaining", "minute_reset"}),
        ({"day_limit": 9}, {"day_limit", "day_remaining", "day_reset"}),
    ],
)
def test_one_limit_alone(call_api: Callable[..., Any], options: dict[str, int], names: set[str]) -> None:
    """A limit that is not set is not spoken of."""
    assert set(call_api(World(1), **options).result("get.account")["metadata"]["limits"]) == names


def test_only_success_costs(limited: Any) -> None:
    """A refused call costs nothing, and returns the current limits."""
    for _ in range(10):
        assert limited.error(LISTING)["metadata"]["limits"]["minute_remaining"] == 3
    assert limited.result("get.account")["metadata"]["limits"]["minute_remaining"] == 2


def test_minute_limit(limited: Any, clock: Any) -> None:
    """The call after the last point of a minute is refused until the minute is over; a wrong key stays a wrong key."""
    for _ in range(3):
        limited.result("get.account")
    failure = limited.error("get.account")
    assert (failure["mnemonic"], failure["code"]) == ("limit_exceeded", -32029)
    assert failure["params"] == {"limit_type": "minute"}
    assert failure["metadata"]["limits"]["minute_remaining"] == 0
    assert limited.error("get.account", access_token="x")["mnemonic"] == "access_token_invalid"
    clock.seconds += failure["metadata"]["limits"]["minute_reset"]
    assert limited.result("get.account")["metadata"]["limits"]["minute_remaining"] == 2


def test_day_limit(limited: Any, clock: Any) -> None:
    """The day's limit is named before the minute's, and lasts until the next day."""
    for _ in range(5):
        limited.result("get.account")
        clock.seconds += 60
    failure = limited.error("get.account")
    assert failure["params"] == {"limit_type": "day"}
    clock.seconds += failure["metadata"]["limits"]["day_reset"] - 1
    assert limited.error("get.account")["params"] == {"limit_type": "day"}
    clock.seconds += 1
    assert limited.result("get.account")
