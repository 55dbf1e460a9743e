"""Answers with a name twice are refused wherever it stands outside the records, in any order and spelling."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import AccountRefused, BrokenAnswer, SourceUnusable, VnsyncError
from etl.extract.answers import decode, digest_of

ID = 7
Members = list[tuple[str, Any]]
"""One JSON object, as a list of members: it can hold a name twice."""

names = st.sampled_from(["id", "data", "total_items", "metadata", "error", "limits", "x", "\u00e9", 'q"', "\\", ""])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.lists(st.tuples(names, values), max_size=4, unique_by=lambda m: m[0])
    return members.map(_Object) | st.lists(values, max_size=3)


class _Object(list[Any]):
    """An object: a list of members, distinguished from an array by its type."""


trees = st.recursive(scalars, _objects, max_leaves=8)
records = st.lists(
    st.lists(st.tuples(names, scalars), max_size=3).map(lambda more: _Object([("id", 1), *more])), max_size=4
)
"""Rows, in which a name may come twice: whoever reads a row finds that."""


@st.composite
def answers(draw: st.DrawFn) -> tuple[_Object, list[Any]]:
    """A well-formed answer, and its records."""
    rows = draw(records)
    if draw(st.booleans()):
        result = _Object([("data", rows), ("metadata", draw(trees)), ("more", draw(trees))])
        body = ("result", _Object(draw(st.permutations(result))))
    else:
        data = _Object([("mnemonic", draw(st.sampled_from(["forbidden", "?"]))), ("metadata", draw(trees))])
        body = ("error", _Object([("code", 1), ("message", draw(trees)), ("data", data)]))
    members = [("jsonrpc", "2.0"), ("id", ID), body, ("extra", draw(trees))]
    return _Object(draw(st.permutations(members))), rows


def _spelled(chance: Random, text: str) -> str:
    """A JSON string, in which any character may be an escape."""
    return f'"{"".join(_character(chance, c) for c in text)}"'


def _character(chance: Random, character: str) -> str:
    escaped = ord(character) <= 0xFFFF and chance.random() < 0.3
    return f"\\u{ord(character):04X}" if escaped else json.dumps(character)[1:-1]


def _written(chance: Random, value: Any, ready: dict[int, str]) -> str:
    """JSON of a value, with random spaces and escapes; `ready`: texts of values written before, by identity."""
    if id(value) in ready:
        return ready[id(value)]
    space = chance.choice(["", " ", "\n"])
    if isinstance(value, _Object):
        members = [f"{_spelled(chance, n)}{space}:{space}{_written(chance, v, ready)}" for n, v in value]
        return "{" + f",{space}".join(members) + space + "}"
    if isinstance(value, list):
        return "[" + f"{space},".join(_written(chance, v, ready) for v in value) + "]"
    return _spelled(chance, value) if isinstance(value, str) else json.dumps(value)


def _inside(value: Any, rows: list[Any]) -> list[_Object]:
    """The objects with members outside the records."""
    if value is rows or not isinstance(value, list):
        return []
    deeper = [v for _, v in value] if isinstance(value, _Object) else value
    found = [each for one in deeper for each in _inside(one, rows)]
    return [value, *found] if isinstance(value, _Object) and value else found


def _error(answer: _Object, rows: list[Any], chance: Random) -> type[VnsyncError] | None:
    """Error for the answer, which is the same with its records unknown and known."""
    written = _written(chance, rows, {})
    body = _written(chance, answer, {id(rows): written}).encode()
    errors: set[type[VnsyncError] | None] = set()
    for known in (b"", digest_of(written.encode())):
        try:
            decode(body, ID, known=known)
            errors.add(None)
        except VnsyncError as exc:
            errors.add(type(exc))
    (error,) = errors
    return error


@given(answers(), st.integers(0, 10**6))
@pytest.mark.fault("A14")
def test_well_formed_answers_are_never_refused_for_a_name(made: tuple[_Object, list[Any]], seed: int) -> None:
    """Names that come once in each object of the envelope, and as often as they like in rows, are no broken answer."""
    answer, rows = made
    refused: dict[str, set[type[VnsyncError] | None]] = {
        "error": {AccountRefused, SourceUnusable},
        "result": {None},
    }
    (kind,) = [name for name, _ in answer if name in refused]
    assert _error(answer, rows, Random(seed)) in refused[kind]


@given(answers(), st.integers(0, 10**6), st.data())
@pytest.mark.fault("A14")
def test_a_name_that_comes_twice_is_refused_wherever_it_stands(
    made: tuple[_Object, list[Any]], seed: int, data: st.DataObject
) -> None:
    """Any object of the envelope, at any depth, first or last, in any spelling, with records that were known or not."""
    answer, rows = made
    members = data.draw(st.sampled_from(_inside(answer, rows)))
    name = data.draw(st.sampled_from([n for n, _ in members]))
    same = data.draw(st.booleans())
    value = dict(members)[name] if same else data.draw(trees | st.just(rows))
    members.insert(data.draw(st.integers(0, len(members))), (name, value))
    error = _error(answer, rows, Random(seed))
    assert error is BrokenAnswer or (error is SourceUnusable and not same)


@pytest.mark.fault("A14")
def test_rows_of_another_list_are_looked_at_with_the_rest() -> None:
    """A repeated name in a record is left to the record's decoder; in an unread part it is refused."""
    rows = b'[{"id": 1, "id": 2}]'
    body = b'{"id": 7, "result": {"data": ' + rows + b', "metadata": {}}}'
    assert decode(body, ID).metadata == {}
    with pytest.raises(BrokenAnswer, match="'id' twice"):
        decode(body, ID, rows_later=False)
