"""A short fuzzing run, and a test that its judge can fail. The long run: `python -m tests.stress.fuzz`."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec
import pytest

from etl.extract.page import Record
from etl.transform.decode import Decoded, decode
from etl.transform.drift import DriftLog
from etl.transform.records import Number
from tests.stress.fuzz import fuzz
from tests.stress.fuzz_checks import examine
from tests.stress.fuzz_inputs import draw


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 250), *(pytest.param(n, 2500, marks=pytest.mark.soak) for n in (2, 3))]
)
@pytest.mark.fault("D05", "D12", "H12", "P04")
def test_no_answer_ends_in_an_exception_of_another_kind(seed: int, count: int) -> None:
    """Hundreds of spoiled answers: sound rows, a record quarantined with place and reason, or an error of vnsync."""
    found = fuzz(seed, range(count))
    assert not found.failures, f"python -m tests.stress.fuzz --replay {seed}:<one of these> {found.failures}"
    assert {"read", "some kept out", "all kept out", "empty"} <= set(found.outcomes)
    assert sum(count for outcome, count in found.outcomes.items() if outcome.startswith("refused")) > count / 5


def test_seed_and_an_index_are_the_same_input_again() -> None:
    """A seed and an index always give the same input, so a finding can be reproduced."""
    assert [draw(5, n) for n in range(50)] == [draw(5, n) for n in range(50)]
    assert len({draw(5, n) for n in range(50)}) == 50


def _last_wins(records: Collection[Record], _drift: DriftLog) -> Decoded:
    """A decoder that does not notice duplicate keys, and drops unknown fields."""
    numbers = []
    for record in records:
        sent = msgspec.json.decode(record)
        numbers.append(msgspec.convert({k: v for k, v in sent.items() if k in Number.__struct_fields__}, Number))
    return Decoded(numbers, [])


def _loses_what_it_rejects(records: Collection[Record], drift: DriftLog) -> Decoded:
    return Decoded(decode(records, drift).numbers, [])


def _empty_for_null(records: Collection[Record], drift: DriftLog) -> Decoded:
    decoded = decode(records, drift)
    for number in decoded.numbers:
        number.comment = number.comment or None
    return decoded


def _two_spellings(records: Collection[Record], drift: DriftLog) -> Decoded:
    decoded = decode(records, drift)
    for number in decoded.numbers:
        number.virtual_phone_number = f"{number.virtual_phone_number}\0"
    return decoded


@pytest.mark.parametrize("planted", [_last_wins, _loses_what_it_rejects, _empty_for_null, _two_spellings])
def test_the_judge_finds_planted_bugs(planted: Callable[[Collection[Record], DriftLog], Decoded]) -> None:
    """Each of these wrong decoders is found within a few hundred inputs, so the stress run can fail."""
    parts = (range(first, first + 20) for first in range(0, 400, 20))
    assert any(fuzz(1, part, lambda body: examine(body, planted)).failures for part in parts)
