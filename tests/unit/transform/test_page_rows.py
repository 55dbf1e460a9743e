"""Rows of a page, whose records are transformed some at a time."""

from __future__ import annotations

import random

import msgspec
import pytest

from etl.transform import page_rows
from etl.transform.decode import joined
from etl.transform.page_rows import PageRows, Transformation


def _record(number: int) -> bytes:
    """A number with two links, or in some cases without a name, with an unknown field, or without a usable status."""
    odd = {3: ', "colour": "red"', 5: ', "status": 7', 6: ""}.get(number % 7, ', "name": "n"')
    campaign = f'{{"campaign_id": {number % 3}, "campaign_name": "c", "site_id": 1, "site_blocks": []}}'
    scenario = f'{{"scenario_id": {number % 5}, "scenario_name": "s"}}'
    return f'{{"id": {number}, "campaigns": [{campaign}], "scenarios": [{scenario}]{odd}}}'.encode()


def _rows(records: list[bytes]) -> tuple[PageRows, bytes]:
    """The rows of a page, with what has no order in one order; and the rows that its numbers share, encoded."""
    transformation = Transformation()
    rows = transformation.page(joined(records))
    rows.ids, rows.phones = sorted(rows.ids), sorted(rows.phones)
    rows.drift_entries.sort()
    rows.rejected.sort(key=lambda rejected: rejected.virtual_number_id or 0)
    return rows, msgspec.json.encode(transformation.shared(), order="sorted")


@pytest.mark.parametrize("together", [1, 10, 39, 40, 41])
def test_rows_are_the_same_however_many_records_are_transformed_together(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the page is not in the order of its ids, and where a few records can be read one by one only."""
    records = [_record(number) for number in range(1, 41)]
    whole, shared = _rows(records)
    assert len(whole.ids) == 40 - len(whole.rejected)
    assert whole.rejected
    assert whole.drift_entries
    mixed = random.Random(1).sample(records, len(records))
    monkeypatch.setattr(page_rows, "TOGETHER", together)
    assert _rows(records) == (whole, shared)
    assert _rows(mixed)[0] == whole
