"""YAML text: a parser reads back what was written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from etl.describe.yaml_text import dumps


@pytest.mark.parametrize(
    "value",
    [
        {
            "version": 2,
            "sources": [{"name": "a", "tables": [{"name": "b"}, {"name": "c", "columns": [{"name": "d"}]}]}],
        },
        {"text": "no", "number": 1, "truth": True, "nothing": None, "empty": ""},
        {
            "signs": "a: b # c 'd' \"e\" {f} [g] & * - ? | > % @ `",
            "lines": "one\ntwo\ttab",
            "other": "Привет \u2028\u0085 x",
        },
        {"object": {"inner": {"deep": "x"}}, "array": ["plain", "text"]},
    ],
)
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    """Objects in arrays in objects, text that looks like another type, and signs that mean something in YAML."""
    assert yaml.safe_load(dumps(value)) == value
