"""Shards: every account is in exactly one, always the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.domain.shards import MOST, Shard, shard

IDS = st.integers(-(2**63), 2**63 - 1)


@given(st.integers(1, MOST), IDS)
def test_every_account_is_in_one_shard(count: int, account_id: int) -> None:
    """Of all parts of a division exactly one has it."""
    assert sum(Shard(number, count).has(account_id) for number in range(1, count + 1)) == 1


@pytest.mark.parametrize("step", [1, 2, 10, 1000])
def test_shards_are_of_like_size_whatever_pattern_the_ids_have(step: int) -> None:
    """Of 3 000 ids with a step in four parts, each part has 600 to 900."""
    ids = range(12_000, 12_000 + 3000 * step, step)
    sizes = [sum(map(Shard(number, 4).has, ids)) for number in range(1, 5)]
    assert min(sizes) >= 600
    assert max(sizes) <= 900


def test_an_account_stays_in_its_shard() -> None:
    """Operators rely on the division: these ids were in these shards in the first release."""
    assert [account_id for account_id in range(101, 111) if Shard(2, 4).has(account_id)] == [105, 107]


def test_part_0_is_the_last_one() -> None:
    """Kubernetes counts its pods from 0: the parts 0 to 3 of four are each account's one part, too."""
    for account_id in range(50):
        assert shard("0/4").has(account_id) is shard("4/4").has(account_id)


@pytest.mark.parametrize("text", ["1/1", "2/4", " 4/4 ", "0/4", "1/1024"])
def test_a_shard_is_written_as_part_of_a_count(text: str) -> None:
    """K/N, with K from 1 to N."""
    assert str(shard(text)) == text.strip()


@pytest.mark.parametrize("text", ["", "00/4", "5/4", "1/0", "2", "a/b", "1/1025", "-1/4", "1/4/2", "٢/٤"])
def test_another_text_is_no_shard(text: str) -> None:
    """A text that is not of the form K/N with K up to N is refused."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        shard(text)
