"""YAML of plain data: objects, arrays, text, numbers and truth values. Text is always quoted, so it means itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def dumps(value: Mapping[str, Any]) -> str:
    """The object as YAML, a line for each member and element."""
    return "\n".join(_object(value)) + "\n"


def _object(value: Mapping[str, Any]) -> Iterator[str]:
    for name, member in value.items():
        if isinstance(member, Mapping | list):
            yield f"{name}:"
            yield from (f"  {line}" for line in _inner(member))
        else:
            yield f"{name}: {_scalar(member)}"


def _inner(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _object(value)
        return
    for element in value:
        lines = list(_object(element)) if isinstance(element, Mapping) else [_scalar(element)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _scalar(value: Any) -> str:
    """JSON's text of a scalar is YAML's too, but for three characters that end a line in YAML."""
    return json.dumps(value, ensure_ascii=False).translate(_LINE_ENDS)
